package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/coracle-k8s/coracle/carried"
	"github.com/coracle-k8s/coracle/cluster/host"
	"github.com/coracle-k8s/coracle/nodeagent/network"
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
		if _, err := network.Cleanup(ctx, c.id); err != nil {
			c.options.logger.Error(err, "Removing the pod network")
		}
		if err := host.RemoveCgroups(c.id, func(string) {}); err != nil {
			c.options.logger.Error(err, "Removing cgroups")
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
		p.cleanup = append(p.cleanup, n.cleanup)
		if err := p.manager.Add(n); err != nil {
			return fmt.Errorf("adding node %s: %w", n.name, err)
		}
	}
	return nil
}

// nodeHost returns what all nodes of this process share.
func (c *Cluster) nodeHost(mgr manager.Manager) (*nodeHost, error) {
	live, err := client.NewWithWatch(c.server.RESTConfig(), client.Options{Scheme: c.clientScheme, Mapper: c.server.Mapper()})
	if err != nil {
		return nil, fmt.Errorf("making the nodes' client: %w", err)
	}
	ports, err := c.options.openPorts()
	if err != nil {
		return nil, err
	}
	return &nodeHost{
		id: c.id, dir: c.config.DataDir, network: c.config.Network, node: c.config.Node,
		manager: mgr, live: live, clock: c.options.clock, log: c.options.logger, metrics: c.metrics, progress: c.options.progress,
		programs: programs(c.path("bin"), c.config.Node.BinDir, c.options.progress), serve: c.nodes.add, ports: ports,
	}, nil
}

// programs installs node programs on its first call.
func programs(dir, given string, progress func(string)) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		progress("installing node programs")
		return carried.Install(dir, given)
	})
}

func (c *Cluster) newNode(shared *nodeHost, index int) (*realNode, error) {
	name, err := ownNodeName(c.config.Node.Name, index)
	if err != nil {
		return nil, err
	}
	subnet, err := podSubnet(c.config.Network, index)
	if err != nil {
		return nil, err
	}
	return &realNode{nodeHost: shared, name: name, index: index, podCIDR: subnet.String()}, nil
}
