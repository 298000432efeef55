package crash

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// machine is a data directory and the coracle process on it, one life after
// another.
type machine struct {
	binary, dir string
	log         *os.File // the output of all lives

	mu      sync.Mutex
	now     *life         // nil until the first
	changed chan struct{} // closed when a life begins, gets ready or ends
}

// life is one process, from its start to its end.
type life struct {
	number int
	cmd    *exec.Cmd
	began  time.Time
	config *rest.Config // set when it is ready
	http   *http.Client
	ready  time.Time
	ended  chan struct{} // closed when the process is reaped
}

const configuration = `apiVersion: config.coracle.dev/v1alpha1
kind: Cluster
dataDir: %s
listen: 127.0.0.1:0
nodes: 0
simulatedNodes: %d
simulation: {capacity: {cpu: "3", memory: 16Gi, pods: "60"}}
%s`

// newMachine prepares an empty data directory below dir; more is further lines of
// its configuration.
func newMachine(binary, dir string, nodes int, more string) (*machine, error) {
	text := fmt.Sprintf(configuration, filepath.Join(dir, "data"), nodes, more)
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("writing configuration: %w", err)
	}
	log, err := os.Create(filepath.Join(dir, "coracle.log"))
	if err != nil {
		return nil, fmt.Errorf("making log: %w", err)
	}
	return &machine{binary: binary, dir: dir, log: log, changed: make(chan struct{})}, nil
}

// begin starts the next life; it does not wait until that is ready.
func (m *machine) begin() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := &life{number: 1, began: time.Now(), ended: make(chan struct{})}
	if m.now != nil {
		l.number = m.now.number + 1
	}
	l.cmd = exec.Command(m.binary, "up", "--config", filepath.Join(m.dir, "config.yaml"))
	l.cmd.Env = append(os.Environ(), "HOME="+m.dir, "CORACLE_LOG=1")
	out, err := l.cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("starting life %d: %w", l.number, err)
	}
	fmt.Fprintf(m.log, "--- life %d begins at %s\n", l.number, l.began.UTC().Format("15:04:05.000"))
	if err := l.cmd.Start(); err != nil {
		return fmt.Errorf("starting life %d: %w", l.number, err)
	}
	go m.listen(l, out)
	m.now = l
	m.report()
	return nil
}

// report wakes those that wait for a change; m.mu is held.
func (m *machine) report() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// listen copies a process's output into the log, sees when it is ready, and reaps it.
func (m *machine) listen(l *life, out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fmt.Fprintln(m.log, lines.Text())
		if strings.HasPrefix(lines.Text(), "export KUBECONFIG=") {
			m.getReady(l)
		}
	}
	_ = l.cmd.Wait() // how it ended is seen in ProcessState
	fmt.Fprintf(m.log, "--- life %d ended after %.3f s: %s\n", l.number, time.Since(l.began).Seconds(), l.cmd.ProcessState)
	m.mu.Lock()
	defer m.mu.Unlock()
	if l.http != nil {
		l.http.CloseIdleConnections()
	}
	close(l.ended)
	m.report()
}

func (m *machine) getReady(l *life) {
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(m.dir, "data", "kubeconfig"))
	if err == nil {
		config.QPS = -1
		l.http, err = rest.HTTPClientFor(config)
	}
	if err != nil {
		fmt.Fprintf(m.log, "--- life %d: its kubeconfig is no good: %v\n", l.number, err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l.config, l.ready = config, time.Now()
	m.report()
}

// current returns the newest life, and what is closed when that changes.
func (m *machine) current() (*life, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now, m.changed
}

// up returns the current life if it is ready and has not ended, else nil.
func (m *machine) up() *life {
	l, _ := m.current()
	if l != nil && l.isReady(m) && !l.hasEnded() {
		return l
	}
	return nil
}

// await waits for a life that is ready and has not ended.
func (m *machine) await(ctx context.Context) (*life, error) {
	for {
		_, changed := m.current()
		if l := m.up(); l != nil {
			return l, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for coracle to be ready: %w", ctx.Err())
		}
	}
}

func (l *life) isReady(m *machine) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return l.config != nil
}

func (l *life) hasEnded() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// end sends a signal to the current life and waits until it is gone. A life that
// ended before that, by itself, is an error.
func (m *machine) end(signal syscall.Signal) error {
	l, _ := m.current()
	if l == nil {
		return nil
	}
	if l.hasEnded() {
		return fmt.Errorf("life %d ended by itself: %s", l.number, l.cmd.ProcessState)
	}
	fmt.Fprintf(m.log, "--- %s to life %d after %.3f s\n", signal, l.number, time.Since(l.began).Seconds())
	if err := l.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("sending %s to life %d: %w", signal, l.number, err)
	}
	select {
	case <-l.ended:
	case <-time.After(20 * time.Second):
		// Go answers with what every goroutine does, in the log.
		_ = l.cmd.Process.Signal(syscall.SIGQUIT)
		select {
		case <-l.ended:
		case <-time.After(20 * time.Second): // its output may be long
		}
		return fmt.Errorf("life %d did not end within 20 s of %s", l.number, signal)
	}
	if signal == syscall.SIGTERM && l.cmd.ProcessState.ExitCode() != 0 {
		return fmt.Errorf("life %d ended by SIGTERM with %s", l.number, l.cmd.ProcessState)
	}
	return nil
}

// close kills what still runs.
func (m *machine) close() {
	if l, _ := m.current(); l != nil {
		_ = l.cmd.Process.Kill()
		<-l.ended
	}
	_ = m.log.Close()
}

// lastWords returns the last lines of the log, but for those of every start.
func (m *machine) lastWords(lines int) string {
	data, err := os.ReadFile(m.log.Name())
	if err != nil {
		return err.Error()
	}
	all := slices.DeleteFunc(strings.Split(strings.TrimSpace(string(data)), "\n"), func(line string) bool {
		return strings.Contains(line, "] \"Starting ") || strings.Contains(line, "quota admission added") || strings.Contains(line, "] Adding GroupVersion")
	})
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// pause waits; false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// join makes the machine a server of another one's cluster.
func (m *machine) join(other *machine) error {
	const token = "data/server-token"
	data, err := os.ReadFile(filepath.Join(other.dir, token))
	if err == nil {
		err = os.MkdirAll(filepath.Join(m.dir, "data"), 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(m.dir, token), data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("copying the server token: %w", err)
	}
	return nil
}
