package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// asProgram makes this test binary the program, so that tests run processes of it.
const asProgram = "CORACLE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// outcomes of a start on a damaged directory.
type outcome int

const (
	refused outcome = iota // one line that names the file, exit code 1, nothing changed
	starts                 // as if nothing had been
	remade                 // starts, and a line names what was made again
	either                 // refused or starts: it depends on what the byte is for
)

// A damage is done to a file.
type damage struct {
	name string
	do   func(path string) error
}

func damages() []damage {
	flip := func(at func(size int) int) func(string) error {
		return func(path string) error { return flipAt(path, at) }
	}
	instead := func(put func(path string) error) func(string) error {
		return func(path string) error { return errors.Join(os.Remove(path), put(path)) }
	}
	return []damage{
		{"missing", os.Remove},
		{"empty", func(path string) error { return os.Truncate(path, 0) }},
		{"cut", func(path string) error {
			content, err := contentOf(path)
			return errors.Join(err, os.Truncate(path, int64(len(content)/2)))
		}},
		{"head", flip(func(int) int { return 1 })},
		{"middle", flip(func(size int) int { return size / 2 })},
		{"tail", flip(func(size int) int { return size - 2 })},
		{"open", func(path string) error { return os.Chmod(path, 0o644) }},
		{"writable", func(path string) error { return os.Chmod(path, 0o666) }},
		{"foreign", func(path string) error { return os.Chown(path, 12345, -1) }},
		{"directory", instead(func(path string) error { return os.Mkdir(path, 0o700) })},
		{"pipe", instead(func(path string) error { return syscall.Mkfifo(path, 0o600) })},
		{"loose link", instead(func(path string) error { return os.Symlink("nowhere", path) })},
	}
}

// decision is what happens with a file: the outcome of most damages, and of some.
type decision struct {
	usual  outcome
	others map[string]outcome
}

// decide returns the decision on a file of a data directory.
func decide(name string) (decision, bool) {
	kept := decision{usual: refused}
	made := decision{remade, map[string]outcome{"open": refused, "writable": refused, "foreign": refused, "directory": refused, "pipe": refused, "loose link": refused}}
	kind := func(usual outcome) map[string]outcome {
		return map[string]outcome{"directory": usual, "pipe": usual, "loose link": usual}
	}
	for _, row := range []struct {
		pattern string
		decision
	}{
		{"lock", decision{starts, map[string]outcome{"directory": refused, "pipe": refused}}},
		{"identity", decision{refused, map[string]outcome{"missing": remade}}},
		{"pki/ca.key", kept},
		{"pki/front-proxy/ca.key", kept},
		{"pki/node-ca/ca.key", kept},
		{"pki/service-account.key", kept},
		{"pki/ca.crt", decision{refused, map[string]outcome{"open": starts}}},
		{"pki/front-proxy/ca.crt", decision{refused, map[string]outcome{"open": starts}}},
		{"pki/node-ca/ca.crt", decision{refused, map[string]outcome{"open": starts}}},
		// A key has its public half, too, which nobody reads.
		{"pki/*.key", withFlips(made, starts)},
		{"pki/front-proxy/*.key", withFlips(made, starts)},
		{"pki/*.crt", withOpen(made, starts)},
		{"pki/front-proxy/*.crt", withOpen(made, starts)},
		// Bytes of it are free to be others.
		{"kubeconfig", withFlips(made, starts)},
		{"etcd/member/wal/*.wal", decision{refused, map[string]outcome{"tail": either}}},
		{"etcd/member/wal/*.tmp", decision{starts, merge(kind(refused), map[string]outcome{"open": refused, "writable": refused, "foreign": refused})}},
		// It has no checksums but those of its first pages, of which one is enough.
		{"etcd/member/snap/db", withFlips(kept, either)},
	} {
		if ok, err := filepath.Match(row.pattern, name); err == nil && ok {
			return row.decision, true
		}
	}
	return decision{}, false
}

func merge(all ...map[string]outcome) map[string]outcome {
	m := map[string]outcome{}
	for _, one := range all {
		for k, v := range one {
			m[k] = v
		}
	}
	return m
}

func withOpen(d decision, o outcome) decision {
	return decision{d.usual, merge(d.others, map[string]outcome{"open": o})}
}

func withFlips(d decision, o outcome) decision {
	return decision{d.usual, merge(d.others, map[string]outcome{"head": o, "middle": o, "tail": o})}
}

// Each file of a data directory, with each damage.
func TestDamage(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: files of other users are not tried")
	}
	prepared := prepare(t)
	slots := make(chan bool, 2)
	for name := range prepared {
		made, known := decide(name)
		if !known {
			t.Errorf("nobody has decided what happens when %s is damaged", name)
			continue
		}
		for _, damage := range damages() {
			if damage.name == "foreign" && os.Geteuid() != 0 {
				continue
			}
			want, special := made.others[damage.name]
			if !special {
				want = made.usual
			}
			t.Run(name+" "+damage.name, func(t *testing.T) {
				t.Parallel()
				slots <- true
				defer func() { <-slots }()
				dir := prepared.restore(t)
				if err := damage.do(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
				expect(t, dir, name, want)
			})
		}
	}
}

// expect starts the cluster in dir, of which the file name is damaged.
func expect(t *testing.T, dir, name string, want outcome) {
	t.Helper()
	before := takeImage(t, dir)
	s := start(t, dir)
	text := s.text()
	if strings.Contains(text, "goroutine ") {
		t.Fatalf("a stack trace:\n%s", text)
	}
	if s.ready {
		switch {
		case want == refused:
			t.Errorf("it started:\n%s", text)
		case want == remade && !strings.Contains(text, filepath.Join(dir, strings.TrimSuffix(name, ".key"))):
			t.Errorf("it did not say that it made %s:\n%s", name, text)
		}
		return
	}
	if want == starts || want == remade {
		t.Fatalf("it did not start:\n%s", text)
	}
	path := filepath.Join(dir, name)
	if !strings.Contains(text, path) && !strings.Contains(text, filepath.Dir(path)+" ") {
		t.Errorf("it did not name %s:\n%s", path, text)
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 1 || len(s.lines) != 1 || !strings.HasPrefix(text, "coracle: ") {
		t.Errorf("exit code %d and not one line:\n%s", code, text)
	}
	if what := before.differs(t, dir); what != "" {
		t.Errorf("%s changed", what)
	}
}

// process is a start of `coracle up` that has ended.
type process struct {
	cmd   *exec.Cmd
	lines []string
	ready bool
}

func (p *process) text() string { return strings.Join(p.lines, "\n") }

func command(dir string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "up", "--nodes", "0", "--simulated-nodes", "1", "--listen", "127.0.0.1:0", "--data-dir", dir)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// startPatience is far more than a start takes, and than a user waits for a line.
const startPatience = 20 * time.Second

// start runs a cluster until it is ready, and stops it then.
func start(t *testing.T, dir string, then ...func()) *process {
	t.Helper()
	p := &process{cmd: command(dir)}
	out := &lineWriter{ready: make(chan bool)}
	p.cmd.Stderr, p.cmd.Stdout = out, out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	select {
	case <-ended:
	case <-out.ready:
		p.ready = true
		for _, f := range then {
			f()
		}
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	case <-time.After(startPatience):
		_ = p.cmd.Process.Kill()
		<-ended
		t.Fatalf("neither ready nor ended after %v:\n%s", startPatience, out.text)
	}
	if p.ready {
		select {
		case <-ended:
		case <-time.After(startPatience):
			_ = p.cmd.Process.Kill()
			t.Fatalf("not stopped after %v", startPatience)
		}
		if p.cmd.ProcessState.ExitCode() != 0 {
			t.Errorf("exit code %d:\n%s", p.cmd.ProcessState.ExitCode(), out.text)
		}
	}
	p.lines = strings.Split(strings.TrimSpace(out.text), "\n")
	return p
}

// lineWriter collects the output of a process, which is read after its end.
type lineWriter struct {
	text  string
	said  bool
	ready chan bool
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.text += string(p)
	if !w.said && strings.Contains(w.text, "export KUBECONFIG=") {
		w.said = true
		close(w.ready)
	}
	return len(p), nil
}

// image is a directory in memory, by name.
type image map[string]file

// file is a regular file, or something else without content.
type file struct {
	mode    fs.FileMode
	size    int64
	content []byte // without the zeros at its end
}

// prepare makes the data directory of a cluster that was used.
func prepare(t *testing.T) image {
	g := NewWithT(t)
	dir := filepath.Join(t.TempDir(), "data")
	p := start(t, dir, func() {
		config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, "kubeconfig"))
		g.Expect(err).NotTo(HaveOccurred())
		config.QPS = -1
		client, err := kubernetes.NewForConfig(config)
		g.Expect(err).NotTo(HaveOccurred())
		for i := range 200 {
			_, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("c", i)}, Data: map[string]string{"a": strings.Repeat("a", 1000)}}, metav1.CreateOptions{})
			g.Expect(err).NotTo(HaveOccurred())
		}
	})
	g.Expect(p.ready).To(BeTrue(), "got %s", p.text())
	return takeImage(t, dir)
}

func takeImage(t *testing.T, dir string) image {
	t.Helper()
	i := image{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir || d.IsDir() && !empty(path) {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		f := file{mode: info.Mode()}
		if info.Mode().IsRegular() {
			f.size = info.Size()
			f.content, err = contentOf(path)
		}
		i[name] = f
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func empty(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) == 0
}

// contentOf is a file's without the zeros that etcd sets aside at the end.
func contentOf(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	return bytes.TrimRight(data, "\x00"), err
}

func flipAt(path string, at func(size int) int) error {
	content, err := contentOf(path)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	i := max(0, at(len(content)))
	b := byte(0)
	if i < len(content) {
		b = content[i]
	}
	_, err = f.WriteAt([]byte{b ^ 1}, int64(i))
	return errors.Join(err, f.Close())
}

// restore writes the image to a new directory.
func (i image) restore(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, f := range i {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if f.mode.IsRegular() {
			err = errors.Join(err, os.WriteFile(path, f.content, f.mode.Perm()), os.Truncate(path, f.size))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// differs names a file that is not as in the image, but for the lock, which says
// who had it last.
func (i image) differs(t *testing.T, dir string) string {
	t.Helper()
	now := takeImage(t, dir)
	for name, f := range now {
		was, there := i[name]
		if name != "lock" && (!there || was.mode != f.mode || was.size != f.size || !bytes.Equal(was.content, f.content)) {
			return name
		}
	}
	for name := range i {
		if _, there := now[name]; !there {
			return name
		}
	}
	return ""
}

// A cluster whose first start was cut off, after any of its files, starts again.
func TestFirstStartCutOff(t *testing.T) {
	var order []string
	for name := range prepare(t) {
		order = append(order, name)
	}
	order = append(order, "etcd", "etcd/member", "etcd/member/wal.tmp", "etcd/member/wal")
	slices.Sort(order)
	slots := make(chan bool, 2)
	for _, name := range order {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slots <- true
			defer func() { <-slots }()
			dir := filepath.Join(t.TempDir(), "data")
			cmd := command(dir)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			NewWithT(t).Eventually(func() bool {
				_, err := os.Lstat(filepath.Join(dir, name))
				return err == nil || cmd.Process.Signal(syscall.Signal(0)) != nil
			}).WithTimeout(startPatience).WithPolling(100*time.Microsecond).Should(BeTrue(), "there is a file %s", name)
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if p := start(t, dir); !p.ready {
				t.Errorf("it did not start again:\n%s", p.text())
			}
		})
	}
}
