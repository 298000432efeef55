package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/coracle-k8s/coracle/cluster/node"
)

// nodeAddress returns the first real node's address, empty without real nodes:
// the configured one, that of the default route, or the first of the link range.
func (c *Cluster) nodeAddress() string {
	if *c.config.Nodes == 0 {
		return ""
	}
	if c.config.Node.Address != "" {
		return c.config.Node.Address
	}
	// Connecting a UDP socket sends nothing; it asks the kernel for the route.
	if conn, err := net.Dial("udp4", "192.0.2.1:9"); err == nil {
		defer conn.Close()
		return conn.LocalAddr().(*net.UDPAddr).IP.String()
	}
	return netip.MustParsePrefix(c.config.Network.LinkCIDR).Addr().Next().String() // Validate checked it
}

// bindEarly lets a socket take an address that the network sets up later.
func bindEarly(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1)
	})
	return errors.Join(err, failed)
}

func (c *Cluster) addNodes(_ context.Context, p *parts) error {
	if *c.config.Nodes == 0 {
		return nil
	}
	p.cleanup = append(p.cleanup, func(ctx context.Context) {
		if err := node.Remove(ctx, c.id); err != nil {
			c.options.logger.Error(err, "Removing the pod network and cgroups")
		}
	})
	shared, err := c.nodeHost(p.manager)
	if err != nil {
		return err
	}
	for i := range int(*c.config.Nodes) {
		n, err := c.newNode(shared, i)
		if err != nil {
			return err
		}
		p.cleanup = append(p.cleanup, n.Cleanup)
		if err := p.manager.Add(n); err != nil {
			return fmt.Errorf("adding node %s: %w", n.Name, err)
		}
	}
	return nil
}

// nodeHost returns what all nodes of this process share.
func (c *Cluster) nodeHost(mgr manager.Manager) (*node.Host, error) {
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
		Programs: node.Programs(c.path("bin"), c.config.Node.BinDir, c.options.progress), Serve: c.nodes.add, Ports: ports,
	}, nil
}

func (c *Cluster) newNode(shared *node.Host, index int) (*node.Node, error) {
	name, err := ownNodeName(c.config.Node.Name, index)
	if err != nil {
		return nil, err
	}
	subnet, err := podSubnet(c.config.Network, index)
	if err != nil {
		return nil, err
	}
	return &node.Node{Host: shared, Name: name, Index: index, PodCIDR: subnet.String()}, nil
}
