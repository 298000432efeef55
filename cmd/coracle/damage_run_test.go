package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// process is a start of `coracle up` that has ended.
type process struct {
	cmd   *exec.Cmd // nil if it was here
	lines []string
	ready bool
}

func (p *process) text() string { return strings.Join(p.lines, "\n") }

func arguments(dir string) []string {
	return []string{"up", "--nodes", "0", "--simulated-nodes", "1", "--listen", "127.0.0.1:0", "--data-dir", dir}
}

func command(dir string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], arguments(dir)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// startHere is start in this process.
func startHere(t *testing.T, dir string) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, ended := &lineWriter{ready: make(chan bool)}, make(chan error, 1)
	cmd := root()
	cmd.SetArgs(arguments(dir))
	cmd.SetErr(out)
	go func() { ended <- cmd.ExecuteContext(ctx) }()
	p, ready, late := &process{}, out.ready, time.After(startPatience)
	for {
		select {
		case err := <-ended:
			if err != nil && !p.ready {
				fmt.Fprintln(out, "coracle: "+oneLine(err).Error())
			}
			p.lines = strings.Split(strings.TrimSpace(out.String()), "\n")
			return p
		case <-ready:
			p.ready, ready = true, nil
			cancel()
		case <-late:
			t.Fatalf("neither ready nor ended after %v:\n%s", startPatience, out)
		}
	}
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
		t.Fatalf("neither ready nor ended after %v:\n%s", startPatience, out)
	}
	if p.ready {
		select {
		case <-ended:
		case <-time.After(startPatience):
			_ = p.cmd.Process.Kill()
			t.Fatalf("not stopped after %v", startPatience)
		}
		if p.cmd.ProcessState.ExitCode() != 0 {
			t.Errorf("exit code %d:\n%s", p.cmd.ProcessState.ExitCode(), out)
		}
	}
	p.lines = strings.Split(strings.TrimSpace(out.String()), "\n")
	return p
}

// lineWriter collects what is written to it.
type lineWriter struct {
	mu   sync.Mutex
	text string
	said bool
	// ready is closed when a cluster reports that it is ready.
	ready chan bool
}

// Write implements io.Writer.
func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text += string(p)
	if !w.said && strings.Contains(w.text, "export KUBECONFIG=") {
		w.said = true
		close(w.ready)
	}
	return len(p), nil
}

// String implements fmt.Stringer.
func (w *lineWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text
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

// contentOf returns a file's content without the zeros that etcd sets aside at
// the end.
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

// differs names a file that is not as in the image, but for the lock, which has
// its last holder.
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
