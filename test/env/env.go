// Package env gives tests a whole cluster: control plane and simulated nodes in
// the test's own process, on a free port, with its data in a directory of the
// test, without root. It is stopped when the test ends, and then must leave no
// goroutine.
package env

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"go.uber.org/goleak"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cluster"
)

// startTimeout bounds the start of a cluster, also on a busy machine.
const startTimeout = 30 * time.Second

// Env is a running cluster and what tests reach it by.
type Env struct {
	// Cluster is the cluster itself.
	Cluster *cluster.Cluster
	// Client reads and writes the API server, without a cache, as cluster
	// administrator.
	Client client.WithWatch
	// Config connects to the API server without a socket.
	Config *rest.Config
}

// Option changes how a cluster starts.
type Option func(*options)

type options struct {
	config  *v1alpha1.Cluster
	cluster []cluster.Option
	shared  bool
}

// WithNodes sets the number of simulated nodes. The default is 1.
func WithNodes(n int32) Option { return func(o *options) { o.config.SimulatedNodes = n } }

// WithDir keeps the data in dir instead of a new directory.
func WithDir(dir string) Option { return func(o *options) { o.config.DataDir = dir } }

// WithClock gives all parts of the cluster another clock.
func WithClock(c clock.WithTicker) Option {
	return func(o *options) { o.cluster = append(o.cluster, cluster.WithClock(c)) }
}

// WithCluster passes options on to the cluster.
func WithCluster(opts ...cluster.Option) Option {
	return func(o *options) { o.cluster = append(o.cluster, opts...) }
}

// WithConfig changes any field of the configuration.
func WithConfig(change func(*v1alpha1.Cluster)) Option {
	return func(o *options) { change(o.config) }
}

// Beside is for clusters that run beside others that start or stop: their goroutines
// cannot be told apart, and the test that started the first one checks for leaks.
func Beside() Option { return func(o *options) { o.shared = true } }

// Start runs a cluster until the test t ends. It fails t when the cluster does
// not start, or leaves a goroutine behind when it is stopped.
func Start(t testing.TB, opts ...Option) *Env {
	t.Helper()
	none := int32(0)
	log := &tail{}
	o := &options{config: &v1alpha1.Cluster{Listen: "127.0.0.1:0", Nodes: &none, SimulatedNodes: 1, Storage: v1alpha1.Storage{UnsafeNoFsync: true}}}
	o.cluster = []cluster.Option{cluster.WithLogger(funcr.New(log.line, funcr.Options{LogTimestamp: true}))}
	for _, opt := range opts {
		opt(o)
	}
	if o.config.DataDir == "" {
		o.config.DataDir = t.TempDir()
	}
	if !o.shared {
		before := goleak.IgnoreCurrent()
		t.Cleanup(func() {
			if err := goleak.Find(before); err != nil {
				t.Errorf("the stopped cluster left something behind: %v", err)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	c, err := cluster.Start(ctx, o.config, o.cluster...)
	if err != nil {
		t.Fatalf("starting a cluster: %v\n%s", err, log)
	}
	t.Cleanup(func() {
		c.Stop()
		if t.Failed() {
			t.Logf("the last lines the cluster logged:\n%s", log)
		}
	})
	kube, err := client.NewWithWatch(c.RESTConfig(), client.Options{Scheme: c.Scheme()})
	if err != nil {
		t.Fatalf("making a client: %v", err)
	}
	return &Env{Cluster: c, Client: kube, Config: c.RESTConfig()}
}

// TLSConfig connects through the server's socket, as the kubeconfig's user.
func (e *Env) TLSConfig(t testing.TB) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", e.Cluster.Kubeconfig())
	if err != nil {
		t.Fatalf("reading the kubeconfig: %v", err)
	}
	return config
}

// Build builds the coracle binary into a directory of the test. CORACLE_BINARY
// names one to use instead.
func Build(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("CORACLE_BINARY"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "coracle")
	cmd := exec.Command("go", "build", "-o", path, "github.com/coracle-k8s/coracle/cmd/coracle")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("building coracle: %v\n%s", err, &out)
	}
	return path
}

// tail keeps the last lines of a log.
type tail struct {
	mu    sync.Mutex
	lines []string
}

const tailLines = 300

func (l *tail) line(prefix, args string) {
	for _, routine := range []string{`"msg"="Starting `, `"msg"="Shutdown signal `, `"msg"="All workers `} {
		if strings.Contains(args, routine) { // each controller's start and end, which hide the rest
			return
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) == tailLines {
		l.lines = l.lines[1:]
	}
	l.lines = append(l.lines, strings.TrimSpace(prefix+" "+args))
}

// String joins the lines.
func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}
