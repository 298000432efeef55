package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
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

// decision holds what happens with a file: the outcome of most damages, and of some.
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
		// A key's file also has its public half, which is never read.
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
			t.Errorf("there is no decision about what happens when %s is damaged", name)
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
	s := startHere(t, dir)
	text := s.text()
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
	if len(s.lines) != 1 || !strings.HasPrefix(text, "coracle: ") {
		t.Errorf("not one line:\n%s", text)
	}
	if what := before.differs(t, dir); what != "" {
		t.Errorf("%s changed", what)
	}
}

// The damage that TestDamage tries in this process ends a process of its own with code 1.
func TestDamageEndsTheProcess(t *testing.T) {
	prepared := prepare(t)
	for _, c := range []struct{ name, damage string }{
		{"pki/ca.key", "missing"}, {"pki/service-account.key", "open"}, {"etcd/member/wal/0000000000000000-0000000000000000.wal", "empty"}, {"etcd/member/snap/db", "cut"},
	} {
		dir := prepared.restore(t)
		i := slices.IndexFunc(damages(), func(d damage) bool { return d.name == c.damage })
		if err := damages()[i].do(filepath.Join(dir, c.name)); err != nil {
			t.Fatal(err)
		}
		p := start(t, dir)
		if p.ready || p.cmd.ProcessState.ExitCode() != 1 || len(p.lines) != 1 || !strings.Contains(p.text(), filepath.Join(dir, c.name)) {
			t.Errorf("%s %s: exit code %d:\n%s", c.name, c.damage, p.cmd.ProcessState.ExitCode(), p.text())
		}
	}
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
