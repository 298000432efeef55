package cluster

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/apiserver"
	"github.com/coracle-k8s/coracle/apiserver/bootstrap"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/cluster/addresses"
	"github.com/coracle-k8s/coracle/cluster/connector"
	"github.com/coracle-k8s/coracle/cluster/credentials"
	"github.com/coracle-k8s/coracle/cluster/datadir"
	"github.com/coracle-k8s/coracle/cluster/identity"
	"github.com/coracle-k8s/coracle/cluster/joins"
	"github.com/coracle-k8s/coracle/cluster/joinserver"
	"github.com/coracle-k8s/coracle/cluster/shared"
	"github.com/coracle-k8s/coracle/scheduler"
)

// controlPlane is an API server with its storage that has the objects of every cluster.
type controlPlane struct {
	*plan
	front
	server       *apiserver.Server
	clientScheme *runtime.Scheme // of all parts but the server
	kubeconfig   string
	state        *state
	// scheduler is the one that runs in this process; nil while none does.
	scheduler atomic.Pointer[scheduler.Scheduler]
}

// front holds the parts of a server that are made before it runs.
type front struct {
	addresses   *addresses.Addresses
	credentials *credentials.Credentials
	nodes       *connector.Connector
	joins       *joinserver.Server
}

// startControlPlane takes the data directory, and starts etcd and the API server.
func (p *plan) startControlPlane(ctx context.Context) (*controlPlane, error) {
	lock, err := datadir.Take(p.config.DataDir)
	if err != nil {
		return nil, err
	}
	p.onStop(lock.Release)
	id, err := identity.Check(identity.Config{
		Dir: p.config.DataDir, OwnEtcd: len(p.config.Storage.Endpoints) == 0, Now: p.options.clock.Now(), Report: p.options.progress,
	})
	if err != nil {
		return nil, err
	}
	if err := datadir.CheckSpace(p.config.DataDir); err != nil {
		lock.Undo()
		return nil, err
	}
	listening, err := addresses.Bind(p.config)
	if err != nil {
		lock.Undo()
		return nil, err
	}
	p.onStop(listening.Close) // closed by the server, once it runs
	p.options.progress("starting etcd and the API server")
	loopback := apiserver.NewLoopback()
	f, err := p.newFront(ctx, listening, loopback)
	if err != nil {
		return nil, err
	}
	p.onStop(f.nodes.Close)
	if err := id.WriteFingerprints(); err != nil {
		return nil, err
	}
	c := &controlPlane{plan: p, front: f, state: &state{}}
	config := p.serverConfig(f, loopback, c.state)
	if c.clientScheme, err = shared.NewScheme(config.Scheme, p.resources); err != nil {
		return nil, err
	}
	for _, add := range p.options.types {
		if err := add(c.clientScheme); err != nil {
			return nil, fmt.Errorf("adding types to the scheme: %w", err)
		}
	}
	if c.server, err = apiserver.Start(ctx, config); err != nil {
		return nil, err
	}
	p.onStop(c.server.Stop)
	return c, c.complete(ctx, id)
}

// newFront opens the server's credentials and makes what its handlers need.
func (p *plan) newFront(ctx context.Context, listening *addresses.Addresses, loopback *apiserver.Loopback) (front, error) {
	f := front{addresses: listening}
	var err error
	f.credentials, err = credentials.Open(ctx, credentials.Config{
		Cluster: p.config, Names: listening.Names(), Etcd: p.etcd, Clock: p.options.clock, Report: p.options.progress,
	})
	if err != nil {
		return f, err
	}
	f.nodes, err = connector.New(connector.Config{
		Server: loopback.RESTConfig(), Settings: p.config.APIServer.Kubelet,
		Authorities: f.credentials.NodeAuthority.Pool(), Certificate: f.credentials.AgentClient,
	})
	if err != nil {
		return f, err
	}
	f.joins = joinserver.New(joinserver.Config{
		Cluster: p.config, Server: loopback.RESTConfig(), Authority: f.credentials.Authority, NodeAuthority: f.credentials.NodeAuthority,
		Names: listening.Names(), OwnNodes: p.ownNodes, Machine: p.options.machine, PodRanges: p.podRanges,
		Clock: p.options.clock, Logger: p.options.logger,
	})
	return f, nil
}

func (p *plan) serverConfig(f front, loopback *apiserver.Loopback, s *state) apiserver.Config {
	base, size, _ := p.config.Network.PortRange() // Validate checked it
	config := apiserver.Config{
		Etcd: p.etcd, Scheme: apis.NewScheme(), Resources: p.resources, Listeners: f.addresses.Listeners, Loopback: loopback, Nodes: f.nodes,
		Certificate: f.credentials.Certificate, Authority: f.credentials.Authority, Proxy: f.credentials.Proxy,
		ServiceAccountKey: f.credentials.TokenKey, ServiceAccountKeys: f.credentials.TokenKeys,
		Issuer:   "https://kubernetes.default.svc." + p.config.Network.ClusterDomain,
		Services: registry.ServiceNetwork{CIDR: p.config.Network.ServiceCIDR, NodePortBase: base, NodePortSize: size},
		Clock:    p.options.clock,
		Components: map[string]func(context.Context) error{
			"controller-manager": s.checkParts, "scheduler": s.checkParts,
		},
		Checks:            s.healthChecks(*p.config.LeaderElection.LeaderElect),
		Settings:          p.config.APIServer,
		UncheckedPolicies: !p.config.Controllers.Any(),
		Metrics:           []prometheus.Gatherer{p.metrics, s},
		Extra:             map[string]http.Handler{joins.Path: f.joins, StatusPath: http.HandlerFunc(s.serveStatus)},
		Report: func(err error) {
			p.options.logger.Error(err, "the API server")
			p.options.progress(err.Error())
		},
	}
	if issuer := p.config.APIServer.ServiceAccounts.Issuer; issuer != "" {
		config.Issuer = issuer
	}
	return config
}

// complete writes the objects of every cluster and the kubeconfig.
func (c *controlPlane) complete(ctx context.Context, id *identity.Identity) error {
	config := bootstrap.Config{ServiceIP: c.addresses.Service(), Authentication: c.credentials.Authentication}
	if !*c.config.LeaderElection.LeaderElect { // else it is a peer's matter
		config.Advertise = c.addresses.Advertised()
	}
	if err := bootstrap.Run(ctx, c.server.RESTConfig(), config); err != nil {
		return err
	}
	c.state.bootstrapped.Store(true)
	if err := id.WriteComplete(); err != nil {
		return err
	}
	var err error
	c.kubeconfig, err = c.credentials.WriteKubeconfig(c.addresses.URL(), id.Continued())
	return err
}

// readyPatience bounds the wait for what becomes ready after the server answers, such
// as the default roles: tens of milliseconds, unless a stored object is damaged.
const readyPatience = 5 * time.Second

// awaitReady waits until /readyz passes. A cluster that is not ready in time runs all
// the same, since only its API can mend what is wrong.
func (c *controlPlane) awaitReady(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	err := c.server.AwaitReady(limited)
	if err != nil && ctx.Err() == nil {
		c.options.progress("not ready yet: /readyz says why")
		return nil
	}
	return err
}
