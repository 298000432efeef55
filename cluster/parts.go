package cluster

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/apiserver/peers"
	"github.com/coracle-k8s/coracle/cluster/controllers"
	"github.com/coracle-k8s/coracle/cluster/joinserver"
	"github.com/coracle-k8s/coracle/cluster/leader"
	"github.com/coracle-k8s/coracle/cluster/node"
	"github.com/coracle-k8s/coracle/cluster/shared"
	"github.com/coracle-k8s/coracle/nodeagent/simulated"
)

// parts are controllers, scheduler and nodes: everything that runs on the one
// manager with its one cache.
type parts struct {
	manager manager.Manager
	// duties are the controllers and the scheduler.
	duties *leader.Duties
	// done is closed when the manager has ended; err is the reason, unless it was stopped.
	done chan struct{}
	err  error
}

// startParts adds all parts to a new manager and starts it.
func (c *controlPlane) startParts(ctx context.Context) (*parts, error) {
	// The libraries log to the context's logger, else to a global one that
	// complains when it was not set.
	run, cancel := context.WithCancel(logr.NewContext(context.WithoutCancel(ctx), c.options.logger))
	c.onStop(cancel)
	mgr, err := shared.NewManager(run, shared.Config{Server: c.server, Scheme: c.clientScheme, Logger: c.options.logger, Metrics: c.metrics, StopTimeout: node.StopTimeout})
	if err != nil {
		return nil, err
	}
	if c.options.cloud != nil {
		controllers.InitializeCloud(run, c.options.cloud, c.server.RESTConfig())
	}
	p := &parts{manager: mgr, done: make(chan struct{})}
	if p.duties, err = c.addParts(mgr); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		if err := mgr.Start(run); err != nil {
			p.err = fmt.Errorf("running the controllers: %w", err)
		}
	}()
	c.onStop(func() {
		cancel()
		<-p.done
	})
	c.state.parts.Store(p)
	return p, nil
}

func (c *controlPlane) addParts(mgr manager.Manager) (*leader.Duties, error) {
	duties, err := c.addDuties(mgr)
	if err != nil {
		return nil, err
	}
	if *c.config.LeaderElection.LeaderElect {
		if err := c.addPeer(mgr); err != nil {
			return nil, err
		}
	}
	if c.config.SimulatedNodes > 0 {
		if err := c.addSimulatedNodes(mgr); err != nil {
			return nil, err
		}
	}
	if err := mgr.Add(manager.RunnableFunc(func(ctx context.Context) error { return c.reportNodes(ctx, mgr.GetCache()) })); err != nil {
		return nil, fmt.Errorf("adding the report of nodes: %w", err)
	}
	if err := mgr.Add(joinserver.Roles{Client: mgr.GetClient()}); err != nil {
		return nil, fmt.Errorf("adding the agents' access: %w", err)
	}
	if *c.config.Nodes > 0 {
		return duties, c.addNodes(mgr)
	}
	return duties, nil
}

// addDuties makes mgr run the controllers and the scheduler.
func (c *controlPlane) addDuties(mgr manager.Manager) (*leader.Duties, error) {
	list := controllers.Config{
		Cluster: c.config, Server: c.server, Authority: c.credentials.Authority, NodeAuthority: c.credentials.NodeAuthority,
		ServerCA: c.credentials.ServerCA, Authentication: c.credentials.Authentication,
		PodRanges: c.podRanges, ReserveJoined: c.joins.ReserveJoined, Cloud: c.options.cloud, Port: c.addresses.Own.Port(), OwnNode: c.ownNode,
	}
	duties := []leader.Duty{{Lease: "kube-controller-manager", Component: "kube-controller-manager", Begin: list.AddTo}}
	if *c.config.Scheduler.Enabled {
		duties = append(duties, leader.Duty{Lease: "kube-scheduler", Component: "default-scheduler", Begin: c.addScheduler})
	}
	return leader.Add(leader.Config{
		Manager: mgr, Server: c.server.RESTConfig(), Election: c.config.LeaderElection, Clock: c.options.clock, Logger: c.options.logger,
		Metrics: c.metrics, QueueName: controllers.QueueName, StopTimeout: node.StopTimeout,
	}, duties...)
}

func (c *controlPlane) addScheduler(t *leader.Term) error {
	s, err := controllers.AddScheduler(t)
	if err != nil {
		return err
	}
	c.scheduler.Store(s)
	return t.Add(manager.RunnableFunc(func(ctx context.Context) error {
		<-ctx.Done()
		c.scheduler.CompareAndSwap(s, nil)
		return nil
	}))
}

// addPeer makes this server known to the others of its cluster, and has it remove the volumes on
// its nodes: another server may have the controllers.
func (c *controlPlane) addPeer(mgr manager.Manager) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("naming this server: %w", err)
	}
	member, err := peers.New(peers.Config{
		Server: c.server.RESTConfig(), Host: host, Instance: c.config.DataDir, Address: c.addresses.Advertised(),
		LeaseDuration: c.config.LeaderElection.LeaseDuration.Duration.Truncate(time.Second), Clock: c.options.clock,
		Report: func(err error) { c.options.logger.Error(err, "Several servers") },
	})
	if err != nil {
		return err
	}
	if err := mgr.Add(member); err != nil {
		return fmt.Errorf("adding the server's part among several: %w", err)
	}
	if *c.config.Nodes == 0 {
		return nil
	}
	return controllers.AddRemover(mgr, c.options.clock, c.ownNode)
}

func (c *controlPlane) addSimulatedNodes(mgr manager.Manager) error {
	nodes, err := simulated.New(simulated.Config{
		Client: mgr.GetClient(), Cache: mgr.GetCache(), Clock: c.options.clock,
		Nodes: int(c.config.SimulatedNodes), Capacity: c.config.Simulation.Capacity, Labels: c.config.Simulation.Labels,
		KubeletVersion: apis.KubernetesVersion,
	})
	if err != nil {
		return err
	}
	if err := mgr.Add(nodes); err != nil {
		return fmt.Errorf("adding simulated nodes: %w", err)
	}
	return nil
}
