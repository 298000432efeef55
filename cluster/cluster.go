// Package cluster composes a whole Kubernetes cluster from one typed
// configuration, in any Go process, as often as wanted:
//
//	cfg := &v1alpha1.Cluster{DataDir: dir, Listen: "127.0.0.1:0", SimulatedNodes: 1}
//	c, err := cluster.Start(ctx, cfg)
//	...
//	defer c.Stop()
//	client, err := client.New(c.RESTConfig(), client.Options{})
//
// The parts know only a client, a cache, a clock and their own configuration;
// here they get the same ones. Stop leaves no goroutine, process, mount, link
// or rule behind.
package cluster

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/apiserver"
	"github.com/coracle-k8s/coracle/apiserver/bootstrap"
	"github.com/coracle-k8s/coracle/apiserver/pki"
	"github.com/coracle-k8s/coracle/cluster/datadir"
	"github.com/coracle-k8s/coracle/cluster/host"
	"github.com/coracle-k8s/coracle/cluster/node"
	"github.com/coracle-k8s/coracle/controllers/nodeipam"
)

// Option changes what a configuration file cannot express.
type Option func(*options)

type options struct {
	progress func(string)
	clock    clock.WithTicker
	logger   logr.Logger
	cloud    cloudprovider.Interface
	// machine returns the addresses of this machine.
	machine func() ([]netip.Addr, error)
}

// WithProgress calls a function with what the start is doing, a short phrase a step, one at a
// time. Nodes go on reporting after Start has returned.
func WithProgress(report func(step string)) Option {
	var mu sync.Mutex
	return func(o *options) {
		o.progress = func(step string) {
			mu.Lock()
			defer mu.Unlock()
			report(step)
		}
	}
}

// WithClock gives all parts another clock, for tests.
func WithClock(c clock.WithTicker) Option { return func(o *options) { o.clock = c } }

// WithLogger sets the logger of the parts. Default: nothing is logged.
func WithLogger(l logr.Logger) Option { return func(o *options) { o.logger = l } }

// WithCloudProvider lets a cloud make the load balancers of Services, if it has
// any, instead of the built-in one.
func WithCloudProvider(cloud cloudprovider.Interface) Option {
	return func(o *options) { o.cloud = cloud }
}

// Cluster is a running cluster.
type Cluster struct {
	config  *v1alpha1.Cluster
	options options
	id      string
	// scheme is the server's, clientScheme that of all other parts.
	scheme, clientScheme *runtime.Scheme
	lock                 *datadir.Lock
	identity             identity
	pki                  *pki.Authority
	// proxyAuthentication holds what aggregated API servers need to authenticate this one.
	proxyAuthentication map[string]string
	serverCA            []byte // PEM of what clients trust the server by
	address             netip.AddrPort
	server              *apiserver.Server
	nodes               *connector
	podRanges           *nodeipam.Ranges
	// nodeCA signs the serving certificates of agents. Clients do not accept them
	// as those of the API server.
	nodeCA *pki.Authority
	// joining is held while a join is decided; joinedBefore is set once
	// podRanges has the joins before this process started.
	joining      sync.Mutex
	joinedBefore bool
	// metrics are those of this cluster's parts, where they have any of their own.
	metrics *prometheus.Registry
	parts   *parts
	working atomic.Pointer[parts] // nil before there are parts
	// bootstrapped reports that the objects of every cluster are stored.
	bootstrapped atomic.Bool
	duties       []*duty
	kubeconfig   string

	stop   sync.Once
	failed chan error
}

// Start runs the cluster that config describes and returns when its API
// answers and its parts have been started; nodes become ready afterwards. The
// configuration is defaulted and checked first; config itself is not changed.
// ctx bounds the start only.
func Start(ctx context.Context, config *v1alpha1.Cluster, opts ...Option) (*Cluster, error) {
	c := &Cluster{config: config.DeepCopy(), options: options{progress: func(string) {}, clock: clock.RealClock{}, logger: logr.Discard(), machine: machineAddresses}, metrics: prometheus.NewRegistry(), failed: make(chan error, 1)}
	for _, o := range opts {
		o(&c.options)
	}
	c.config.Default()
	if errs := c.config.Validate(); len(errs) > 0 {
		return nil, fmt.Errorf("checking the configuration: %w", errs.ToAggregate())
	}
	var err error
	if c.podRanges, err = newPodRanges(c.config); err != nil {
		return nil, fmt.Errorf("checking the configuration: %w", err)
	}
	if err := c.start(ctx); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	if *c.config.Nodes > 0 { // before anything is made
		if err := host.Check(); err != nil {
			return fmt.Errorf("%w, or run with --nodes 0 --simulated-nodes 1", err)
		}
	}
	dir, err := filepath.Abs(c.config.DataDir)
	if err != nil {
		return fmt.Errorf("finding the data directory: %w", err)
	}
	c.config.DataDir, c.id = dir, datadir.ID(dir)
	if c.lock, err = datadir.Take(dir); err != nil {
		return err
	}
	if err := c.checkData(); err != nil {
		return err
	}
	if err := datadir.CheckSpace(dir); err != nil {
		c.lock.Undo()
		return err
	}
	listeners, err := c.listen()
	if err != nil {
		c.lock.Undo()
		return err
	}
	c.options.progress("starting etcd and the API server")
	c.scheme, c.clientScheme = apis.NewScheme(), apis.NewClientScheme()
	if err := c.startServer(ctx, listeners); err != nil {
		return err
	}
	if err := bootstrap.Run(ctx, c.server.RESTConfig(), c.bootstrapConfig()); err != nil {
		return err
	}
	c.bootstrapped.Store(true)
	if err := c.noteComplete(); err != nil {
		return err
	}
	if err := c.writeKubeconfig(); err != nil {
		return err
	}
	c.options.progress("starting controllers and nodes")
	if c.parts, err = c.startParts(ctx); err != nil {
		return err
	}
	c.working.Store(c.parts)
	go c.watch()
	return c.awaitReady(ctx)
}

// readyPatience bounds the wait for what becomes ready after the server answers, such
// as the default roles: tens of milliseconds, unless a stored object is damaged.
const readyPatience = 5 * time.Second

// awaitReady waits until /readyz passes. A cluster that is not ready in time runs all
// the same, since only its API can mend what is wrong.
func (c *Cluster) awaitReady(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	err := c.server.AwaitReady(limited)
	if err != nil && ctx.Err() == nil {
		c.options.progress("not ready yet: /readyz says why")
		return nil
	}
	return err
}

// watch reports the first part that ends by itself.
func (c *Cluster) watch() {
	select {
	case <-c.server.Done():
		if err := c.server.Err(); err != nil {
			c.failed <- fmt.Errorf("the API server ended: %w", err)
		}
	case <-c.parts.done:
		if err := c.parts.err; err != nil {
			c.failed <- err
		}
	}
	close(c.failed)
}

// Failed yields the error that ended a part by itself, and is closed after Stop.
func (c *Cluster) Failed() <-chan error { return c.failed }

// Stop ends everything and waits for it, at most half a minute. It may be
// called more than once.
func (c *Cluster) Stop() {
	c.stop.Do(func() {
		if c.parts != nil {
			c.parts.stop()
		}
		if c.server != nil {
			c.server.Stop()
		}
		if c.nodes != nil {
			c.nodes.close()
		}
		if c.lock != nil {
			c.lock.Release()
		}
	})
}

// RESTConfig connects clients of this process, as system:masters, without a socket.
func (c *Cluster) RESTConfig() *rest.Config { return c.server.RESTConfig() }

// Client returns the client all parts share: it reads from Cache.
func (c *Cluster) Client() client.Client { return c.parts.manager.GetClient() }

// Cache returns the cache that all parts share.
func (c *Cluster) Cache() cache.Cache { return c.parts.manager.GetCache() }

// Manager runs the parts; more may be added to it.
func (c *Cluster) Manager() manager.Manager { return c.parts.manager }

// Scheme has every type that the cluster serves, for clients.
func (c *Cluster) Scheme() *runtime.Scheme { return c.clientScheme }

// URL returns the URL of the API server.
func (c *Cluster) URL() string { return "https://" + c.address.String() }

// Kubeconfig returns the path of a file for kubectl, as cluster administrator.
func (c *Cluster) Kubeconfig() string { return c.kubeconfig }

// Config returns the configuration in force.
func (c *Cluster) Config() *v1alpha1.Cluster { return c.config.DeepCopy() }

// AwaitNodes yields a line each time another of the cluster's own nodes
// becomes Ready, and ends when all are or ctx ends.
func (c *Cluster) AwaitNodes(ctx context.Context) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		want := int(*c.config.Nodes + c.config.SimulatedNodes)
		if want == 0 {
			return
		}
		// The conditions in their objects may be from an earlier run: they must be up again.
		c.nodes.await(ctx, int(*c.config.Nodes))
		ready := make(chan int, 1)
		if err := node.WatchReady(ctx, c.Cache(), ready); err != nil {
			return
		}
		for {
			select {
			case <-ctx.Done():
				return
			case n := <-ready:
				if !yield(n, fmt.Sprintf("%d of %d nodes ready", n, want)) || n >= want {
					return
				}
			}
		}
	}
}
