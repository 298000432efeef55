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
//
// A start goes through the files in this order: plan.go (what the configuration asks for),
// controlplane.go (etcd and the API server), parts.go (controllers, scheduler and nodes).
package cluster

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
)

// Cluster is a running cluster.
type Cluster struct {
	*controlPlane
	parts *parts

	stop   sync.Once
	failed chan error
}

// Start runs the cluster that config describes and returns when its API
// answers and its parts have been started; nodes become ready afterwards. The
// configuration is defaulted and checked first; config itself is not changed.
// ctx bounds the start only.
func Start(ctx context.Context, config *v1alpha1.Cluster, opts ...Option) (*Cluster, error) {
	p, err := newPlan(config, newOptions(opts))
	if err != nil {
		return nil, err
	}
	c, err := p.start(ctx)
	if err != nil {
		p.undo()
		return nil, err
	}
	return c, nil
}

func (p *plan) start(ctx context.Context) (*Cluster, error) {
	server, err := p.startControlPlane(ctx)
	if err != nil {
		return nil, err
	}
	p.options.progress("starting controllers and nodes")
	parts, err := server.startParts(ctx)
	if err != nil {
		return nil, err
	}
	c := &Cluster{controlPlane: server, parts: parts, failed: make(chan error, 1)}
	go c.watch()
	return c, c.awaitReady(ctx)
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
func (c *Cluster) Stop() { c.stop.Do(c.undo) }

// RESTConfig connects clients of this process, as system:masters, without a socket. Clients choose
// the encoding of what they write: types of custom resources have no protobuf.
func (c *Cluster) RESTConfig() *rest.Config {
	config := c.server.RESTConfig()
	config.ContentType = ""
	return config
}

// Client returns the client all parts share: it reads from Cache.
func (c *Cluster) Client() client.Client { return c.parts.manager.GetClient() }

// Cache returns the cache that all parts share.
func (c *Cluster) Cache() cache.Cache { return c.parts.manager.GetCache() }

// Manager runs the parts; more may be added to it.
func (c *Cluster) Manager() manager.Manager { return c.parts.manager }

// Scheme returns a scheme with every type that the cluster serves but custom resources, and those
// of WithTypes, for clients. It is the Manager's, and must not be changed.
func (c *Cluster) Scheme() *runtime.Scheme { return c.clientScheme }

// URL returns the URL of the API server.
func (c *Cluster) URL() string { return c.addresses.URL() }

// Kubeconfig returns the path of a file for kubectl, as cluster administrator.
func (c *Cluster) Kubeconfig() string { return c.kubeconfig }

// Config returns the configuration in force.
func (c *Cluster) Config() *v1alpha1.Cluster { return c.config.DeepCopy() }

// WaitForNodes waits until all nodes of this process are Ready. If ctx ends first, the error
// has the number of ready ones.
func (c *Cluster) WaitForNodes(ctx context.Context) error {
	return c.waitForNodes(ctx, c.Cache(), func(int, int) {})
}
