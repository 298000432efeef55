package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/coracle-k8s/coracle/apiserver/pki"
)

// startTimeout bounds the start of one side, also on a busy machine.
const startTimeout = 4 * time.Minute

// programs are the paths of what runs.
type programs struct{ etcd, apiserver, controllers, coracle string }

// side is an API server with its controllers.
type side struct {
	name   string
	config *rest.Config
	stops  []func()
}

func (s *side) stop() {
	for i := len(s.stops) - 1; i >= 0; i-- {
		s.stops[i]()
	}
}

// credentials are those of one side, in files.
type credentials struct {
	authority *pki.Authority
	dir       string
	admin     pki.Pair
}

func newCredentials(dir string) (*credentials, error) {
	c := &credentials{dir: dir}
	var err error
	if c.authority, err = pki.Open(dir, time.Now()); err != nil {
		return nil, err
	}
	if _, err = c.authority.Certificate(pki.Request{Name: "apiserver", User: "kube-apiserver", Hosts: []string{"127.0.0.1"}}, time.Now()); err != nil {
		return nil, err
	}
	if c.admin, err = c.authority.Certificate(pki.Request{Name: "admin", User: "admin", Groups: []string{"system:masters"}}, time.Now()); err != nil {
		return nil, err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	return c, os.WriteFile(c.path("tokens.key"), text, 0o600)
}

func (c *credentials) path(name string) string { return filepath.Join(c.dir, name) }

func (c *credentials) rest(port int) *rest.Config {
	return &rest.Config{Host: "https://127.0.0.1:" + strconv.Itoa(port), QPS: -1, WarningHandler: rest.NoWarnings{}, TLSClientConfig: rest.TLSClientConfig{CAData: c.authority.PEM, CertData: c.admin.Cert, KeyData: c.admin.Key}}
}

// kubeconfig writes what rest has into a file.
func (c *credentials) kubeconfig(r *rest.Config) (string, error) {
	file := clientcmdapi.NewConfig()
	file.Clusters["c"] = &clientcmdapi.Cluster{Server: r.Host, CertificateAuthorityData: r.CAData}
	file.AuthInfos["u"] = &clientcmdapi.AuthInfo{ClientCertificateData: r.CertData, ClientKeyData: r.KeyData}
	file.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	file.CurrentContext = "x"
	return c.path("kubeconfig"), clientcmd.WriteToFile(*file, c.path("kubeconfig"))
}

// serverFlags returns the flags of both API servers.
func (c *credentials) serverFlags(port int) []string {
	return []string{"--secure-port=" + strconv.Itoa(port), "--bind-address=127.0.0.1", "--cert-dir=" + c.dir, "--client-ca-file=" + c.path("ca.crt"),
		"--service-account-issuer=https://differential.example", "--service-cluster-ip-range=10.0.0.0/16", "--authorization-mode=Node,RBAC", "--allow-privileged=true"}
}

// graceful is how long silent nodes stay ready: nothing here renews their leases.
const graceful = "24h"

func startUpstream(ctx context.Context, dir string, p programs) (*side, error) {
	s := &side{name: "upstream"}
	c, err := newCredentials(filepath.Join(dir, s.name))
	if err != nil {
		return s, err
	}
	ports, err := freePorts(4)
	if err != nil {
		return s, err
	}
	client, peer := "http://127.0.0.1:"+strconv.Itoa(ports[0]), "http://127.0.0.1:"+strconv.Itoa(ports[1])
	err = s.run(ctx, dir, "etcd", p.etcd, "--data-dir="+filepath.Join(dir, "etcd"), "--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer, "--unsafe-no-fsync", "--log-level=error")
	if err == nil {
		err = s.run(ctx, dir, "kube-apiserver", p.apiserver, append(c.serverFlags(ports[2]), "--etcd-servers="+client,
			"--service-account-key-file="+c.path("tokens.key"), "--service-account-signing-key-file="+c.path("tokens.key"))...)
	}
	if err != nil {
		return s, err
	}
	s.config = c.rest(ports[2])
	if err := s.ready(ctx); err != nil {
		return s, err
	}
	kubeconfig, err := c.kubeconfig(s.config)
	if err != nil {
		return s, err
	}
	return s, s.run(ctx, dir, "kube-controller-manager", p.controllers, "--kubeconfig="+kubeconfig, "--leader-elect=false", "--secure-port="+strconv.Itoa(ports[3]), "--bind-address=127.0.0.1",
		"--service-account-private-key-file="+c.path("tokens.key"), "--root-ca-file="+c.path("ca.crt"), "--cluster-signing-cert-file="+c.path("ca.crt"), "--cluster-signing-key-file="+c.path("ca.key"),
		"--allocate-node-cidrs", "--cluster-cidr=10.244.0.0/16", "--node-monitor-grace-period="+graceful, "--kube-api-qps=500", "--kube-api-burst=1000", "--v=1")
}

func startCoracle(ctx context.Context, dir string, p programs) (*side, error) {
	s := &side{name: "coracle"}
	c, err := newCredentials(filepath.Join(dir, s.name))
	if err != nil {
		return s, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return s, err
	}
	link, config := filepath.Join(dir, "bin", "kube-apiserver"), filepath.Join(dir, "coracle.yaml")
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "bin"), 0o700), os.Symlink(p.coracle, link)); err != nil {
		return s, err
	}
	text := "storage: {unsafeNoFsync: true}\ncontrollers: {nodeMonitorGracePeriod: " + graceful + "}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return s, err
	}
	err = s.run(ctx, dir, "coracle", link, append(c.serverFlags(ports[0]), "--config="+config, "--controllers=*,-cluster-dns-controller,-local-path-provisioner,-service-lb-controller", "--scheduler=false")...)
	if err != nil {
		return s, err
	}
	s.config = c.rest(ports[0])
	return s, s.ready(ctx)
}

// run starts a program whose output goes to a file.
func (s *side) run(ctx context.Context, dir, name, program string, args ...string) error {
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		return fmt.Errorf("making the log of %s: %w", name, err)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("starting %s: %w", name, err), log.Close())
	}
	s.stops = append(s.stops, func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		_ = log.Close()
	})
	return nil
}

func (s *side) ready(ctx context.Context) error {
	client, err := rest.HTTPClientFor(s.config)
	if err != nil {
		return err
	}
	answer := ""
	err = wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, startTimeout, true, func(ctx context.Context) (bool, error) {
		response, err := client.Get(s.config.Host + "/readyz")
		if err != nil {
			answer = err.Error()
			return false, nil
		}
		response.Body.Close()
		answer = response.Status
		return response.StatusCode == http.StatusOK, nil
	})
	if err != nil {
		return fmt.Errorf("waiting until %s is ready: %w: %s", s.name, err, answer)
	}
	return nil
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
