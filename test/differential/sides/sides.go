// Package sides starts the two API servers that are compared: upstream's
// kube-apiserver on an etcd, and Coracle under the same name and flags.
package sides

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"k8s.io/utils/ptr"
)

// startTimeout bounds the start of one server, also on a busy machine.
const startTimeout = 3 * time.Minute

// Programs are the paths of what runs.
type Programs struct {
	// Etcd and Upstream are upstream's programs.
	Etcd, Upstream string
	// Coracle is Coracle's binary.
	Coracle string
}

// Side is one running API server.
type Side struct {
	// Name is "upstream" or "coracle".
	Name string
	// URL has no path.
	URL string

	audit audit
	keys  *keys
	stops []func()
}

// flags that both get. Neither runs controllers or a scheduler.
var flags = []string{
	"--service-cluster-ip-range=10.0.0.0/16", "--service-account-issuer=https://differential.example", "--authorization-mode=Node,RBAC",
	"--max-requests-inflight=2000", "--max-mutating-requests-inflight=2000", "--service-node-port-range=30000-32767", "--allow-privileged=true",
	"--bind-address=127.0.0.1", "--advertise-address=192.0.2.1",
	// Both delete a collection in the order of its names; Coracle's default is sixteen side by side.
	"--delete-collection-workers=1",
}

func newSide(name string, k *keys) *Side {
	return &Side{Name: name, keys: k, audit: audit{pending: map[string]*Audited{}}}
}

// Start starts both servers with their data below dir and waits until both are
// ready. The caller stops both.
func Start(ctx context.Context, dir string, p Programs) (upstream, ours *Side, err error) {
	k, err := newKeys(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("making keys: %w", err)
	}
	upstream, ours = newSide("upstream", k), newSide("coracle", k)
	if err := errors.Join(upstream.upstream(ctx, dir, p), ours.coracle(ctx, dir, p)); err != nil {
		upstream.Stop()
		ours.Stop()
		return nil, nil, err
	}
	for _, s := range []*Side{upstream, ours} {
		if err := s.ready(ctx); err != nil {
			upstream.Stop()
			ours.Stop()
			return nil, nil, err
		}
	}
	return upstream, ours, nil
}

// Stop ends the side's processes.
func (s *Side) Stop() {
	for i := len(s.stops) - 1; i >= 0; i-- {
		s.stops[i]()
	}
	s.stops = nil
}

// Client returns a client with a connection of its own.
func (s *Side) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: s.keys.client(), ForceAttemptHTTP2: true}, Timeout: time.Minute}
}

func (s *Side) upstream(ctx context.Context, dir string, p Programs) error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	client, peer := "http://127.0.0.1:"+strconv.Itoa(ports[0]), "http://127.0.0.1:"+strconv.Itoa(ports[1])
	err = s.run(ctx, dir, "etcd", p.Etcd, "--data-dir="+filepath.Join(dir, "etcd"), "--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer, "--unsafe-no-fsync", "--log-level=error", "--quota-backend-bytes=8589934592")
	if err != nil {
		return err
	}
	return s.apiserver(ctx, dir, p.Upstream, ports[2], "--etcd-servers="+client)
}

func (s *Side) coracle(ctx context.Context, dir string, p Programs) error {
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	link := filepath.Join(dir, "kube-apiserver") // the name under which the binary takes upstream's flags
	if err := os.Symlink(p.Coracle, link); err != nil {
		return fmt.Errorf("linking Coracle's binary: %w", err)
	}
	config := filepath.Join(dir, "coracle.yaml")
	if err := os.WriteFile(config, []byte("storage: {unsafeNoFsync: true}\n"), 0o600); err != nil {
		return fmt.Errorf("writing Coracle's configuration: %w", err)
	}
	return s.apiserver(ctx, dir, link, ports[0], "--config="+config)
}

func (s *Side) apiserver(ctx context.Context, dir, program string, port int, more ...string) error {
	s.URL = "https://127.0.0.1:" + strconv.Itoa(port)
	policy := filepath.Join(dir, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return fmt.Errorf("writing the audit policy: %w", err)
	}
	certs := filepath.Join(dir, s.Name)
	if err := s.keys.server(certs); err != nil {
		return err
	}
	args := append([]string{"--secure-port=" + strconv.Itoa(port), "--cert-dir=" + certs, "--client-ca-file=" + s.keys.caFile,
		"--service-account-signing-key-file=" + s.keys.signing, "--service-account-key-file=" + s.keys.signing,
		"--audit-policy-file=" + policy, "--audit-log-path=-"}, flags...)
	return s.run(ctx, dir, s.Name, program, append(args, more...)...)
}

// run starts a program. Its output goes to a file, but for events of its audit.
func (s *Side) run(ctx context.Context, dir, name, program string, args ...string) error {
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		return fmt.Errorf("making the log of %s: %w", name, err)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stderr, cmd.SysProcAttr = log, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	events, err := cmd.StdoutPipe()
	if err != nil {
		return errors.Join(fmt.Errorf("starting %s: %w", name, err), log.Close())
	}
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("starting %s: %w", name, err), log.Close())
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		s.audit.read(events, log)
	}()
	s.stops = append(s.stops, func() {
		_ = cmd.Process.Kill() // it may have ended
		<-read
		_ = cmd.Wait()
		_ = log.Close()
	})
	return nil
}

func (s *Side) ready(ctx context.Context) error {
	client := s.Client()
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	last := ptr.To("no answer")
	for {
		if s.asked(ctx, client, last) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s is ready: %w: %s", s.Name, ctx.Err(), *last)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// asked reports whether the server is ready; answer is its answer.
func (s *Side) asked(ctx context.Context, client *http.Client, answer *string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/readyz?verbose", nil)
	if err != nil {
		return false
	}
	response, err := client.Do(req)
	if err != nil {
		*answer = err.Error()
		return false
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	*answer = string(data)
	return err == nil && response.StatusCode == http.StatusOK
}

// freePorts returns ports that nothing listens on now.
func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
