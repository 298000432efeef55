package cluster

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/coracle-k8s/coracle/cluster/node"
)

// addNodes adds the real nodes of this process. What they do to the machine is undone when the
// cluster stops, after the manager has ended.
func (c *controlPlane) addNodes(mgr manager.Manager) error {
	var cleanup []func(context.Context)
	c.onStop(func() {
		ctx, cancel := context.WithTimeout(context.Background(), node.StopTimeout)
		defer cancel()
		for i := len(cleanup) - 1; i >= 0; i-- {
			cleanup[i](ctx)
		}
	})
	cleanup = append(cleanup, func(ctx context.Context) {
		if err := node.Remove(ctx, c.id); err != nil {
			c.options.logger.Error(err, "Removing the pod network and cgroups")
		}
	})
	shared, err := c.nodeHost(mgr)
	if err != nil {
		return err
	}
	for i := range int(*c.config.Nodes) {
		n, err := c.newNode(shared, i)
		if err != nil {
			return err
		}
		cleanup = append(cleanup, n.Cleanup)
		if err := mgr.Add(n); err != nil {
			return fmt.Errorf("adding node %s: %w", n.Name, err)
		}
	}
	return nil
}

// nodeHost returns what all nodes of this process share.
func (c *controlPlane) nodeHost(mgr manager.Manager) (*node.Host, error) {
	live, err := client.NewWithWatch(c.server.RESTConfig(), client.Options{Scheme: c.clientScheme, Mapper: c.server.Mapper()})
	if err != nil {
		return nil, fmt.Errorf("making the nodes' client: %w", err)
	}
	ports, err := node.OpenPorts(c.options.clock, c.options.logger)
	if err != nil {
		return nil, err
	}
	return &node.Host{
		ID: c.id, Dir: c.config.DataDir, Network: c.config.Network, Node: c.config.Node,
		Manager: mgr, Live: live, Clock: c.options.clock, Log: c.options.logger, Metrics: c.metrics, Progress: c.options.progress,
		Programs: node.Programs(c.path("bin"), c.config.Node.BinDir, c.options.progress), Serve: c.nodes.Add, Ports: ports,
	}, nil
}

func (c *controlPlane) newNode(shared *node.Host, index int) (*node.Node, error) {
	name, err := node.NameOf(c.config.Node.Name, index)
	if err != nil {
		return nil, err
	}
	subnet, err := node.PodSubnet(c.config.Network, index)
	if err != nil {
		return nil, err
	}
	return &node.Node{Host: shared, Name: name, Index: index, PodCIDR: subnet.String()}, nil
}
