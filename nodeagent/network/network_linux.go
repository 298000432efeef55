package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"github.com/vishvananda/netlink"

	"github.com/coracle-k8s/coracle/nodeagent/host"
)

// NodeNet holds the node's namespace, addresses and bridge.
type NodeNet struct {
	// Netns is the path of the node's network namespace; "" is the machine's.
	// The node's runtime must be started in it (InNetns).
	Netns string
	// NodeIP is the node's address.
	NodeIP string
	// NodePortIPs are all addresses of the node that answer on node ports, NodeIP
	// first.
	NodePortIPs []string
	// Bridge is the link that pods hang on.
	Bridge string
}

// Network makes one node's network. It implements host.Network.
type Network struct {
	cfg *parsed

	mu   sync.Mutex
	node *NodeNet // nil before Setup
}

var _ host.Network = (*Network)(nil)

// New checks the Config and returns a Network. Nothing is made before Setup.
func New(cfg Config) (*Network, error) {
	p, err := cfg.parse()
	if err != nil {
		return nil, err
	}
	return &Network{cfg: p}, nil
}

// Setup makes the node's namespace and links, and its pods' network if their
// range is known. It needs CAP_NET_ADMIN and, for a node with a namespace of its
// own, CAP_SYS_ADMIN.
func (n *Network) Setup(ctx context.Context) (NodeNet, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	node := NodeNet{Bridge: n.cfg.podBridge(n.cfg.NodeIndex)}
	machine, err := Handle("")
	if err != nil {
		return node, err
	}
	defer machine.Close()
	if n.cfg.MTU == 0 {
		n.cfg.MTU = defaultMTU(machine)
	}
	if n.cfg.NodeIndex > 0 {
		err = n.setupOwn(ctx, machine, &node)
	} else {
		err = n.setupMachine(ctx, machine, &node)
	}
	if err != nil {
		return node, fmt.Errorf("setting up the network of node %d: %w", n.cfg.NodeIndex, err)
	}
	n.node = &node
	if len(n.cfg.PodCIDRs) > 0 {
		return node, n.configure(ctx, n.cfg.PodCIDRs)
	}
	return node, nil
}

// setupMachine makes the machine itself the node.
func (n *Network) setupMachine(ctx context.Context, machine *netlink.Handle, node *NodeNet) error {
	if err := enableForwarding(""); err != nil {
		return err
	}
	node.NodeIP = n.cfg.NodeIP
	if node.NodeIP == "" {
		node.NodeIP = defaultAddress(machine)
	}
	if n.cfg.link.IsValid() {
		address, err := n.ensureLinkNetwork(ctx, machine)
		if err != nil {
			return err
		}
		if node.NodeIP == "" {
			node.NodeIP = address
		}
		if address != node.NodeIP {
			node.NodePortIPs = []string{address}
		}
	}
	if node.NodeIP == "" {
		return errors.New("the machine has no default route to take an address from, and neither NodeIP nor LinkCIDR is set")
	}
	node.NodePortIPs = append([]string{node.NodeIP}, node.NodePortIPs...)
	return nil
}

// setupOwn makes the node's namespace and joins it to the machine.
func (n *Network) setupOwn(ctx context.Context, machine *netlink.Handle, node *NodeNet) error {
	if err := enableForwarding(""); err != nil {
		return err
	}
	gateway, err := n.ensureLinkNetwork(ctx, machine)
	if err != nil {
		return err
	}
	if node.Netns, err = ensureNetns(n.cfg.netns(n.cfg.NodeIndex)); err != nil {
		return err
	}
	inside, err := Handle(node.Netns)
	if err != nil {
		return err
	}
	defer inside.Close()
	address, err := nodeAddress(n.cfg.link, n.cfg.NodeIndex)
	if err != nil {
		return err
	}
	if err := n.ensureVeth(machine, inside, node.Netns); err != nil {
		return err
	}
	if err := ensureUp(inside, "lo"); err != nil {
		return err
	}
	if err := ensureAddress(inside, insideLink, address); err != nil {
		return err
	}
	if err := inside.RouteReplace(&netlink.Route{Dst: everywhere(), Gw: net.ParseIP(gateway)}); err != nil {
		return fmt.Errorf("adding the node's default route: %w", err)
	}
	if err := enableForwarding(node.Netns); err != nil {
		return err
	}
	node.NodeIP = address.Addr().String()
	node.NodePortIPs = []string{node.NodeIP}
	return nil
}

// Configure implements host.Network.
func (n *Network) Configure(ctx context.Context, podCIDRs []string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.node == nil {
		return errors.New("configuring the pod network: it is not set up")
	}
	return n.configure(ctx, podCIDRs)
}

func (n *Network) configure(ctx context.Context, podCIDRs []string) error {
	ranges, err := parse4(podCIDRs)
	if err != nil {
		return fmt.Errorf("configuring the pod network: %w", err)
	}
	if len(ranges) == 0 {
		return fmt.Errorf("configuring the pod network: no IPv4 range in %v", podCIDRs)
	}
	pods := ranges[0]
	isolated, err := n.isolation()
	if err != nil {
		return fmt.Errorf("configuring the pod network: %w", err)
	}
	if err := n.ensurePodBridge(pods, isolated); err != nil {
		return fmt.Errorf("configuring the pod network: %w", err)
	}
	if err := n.ensureRoutes(pods); err != nil {
		return fmt.Errorf("configuring the pod network: %w", err)
	}
	if err := n.writePodTable(ctx, pods); err != nil {
		return fmt.Errorf("configuring the pod network: %w", err)
	}
	hostPorts := false
	if n.cfg.BinDir != "" {
		_, err := os.Stat(filepath.Join(n.cfg.BinDir, "portmap"))
		hostPorts = err == nil
	}
	content, err := n.cfg.render(pods, isolated, hostPorts)
	if err != nil {
		return err
	}
	return writeConflist(n.cfg.ConfDir, content)
}

// ensureRoutes makes the pods reachable from where they are not.
func (n *Network) ensureRoutes(pods netip.Prefix) error {
	machine, err := Handle("")
	if err != nil {
		return err
	}
	defer machine.Close()
	if n.cfg.NodeIndex > 0 {
		bridge, err := machine.LinkByName(n.cfg.linkBridge())
		if err != nil {
			return fmt.Errorf("finding the link network: %w", err)
		}
		route := &netlink.Route{LinkIndex: bridge.Attrs().Index, Dst: ipNet(pods), Gw: net.ParseIP(n.node.NodeIP)}
		if err := machine.RouteReplace(route); err != nil {
			return fmt.Errorf("routing %s to the node: %w", pods, err)
		}
		return nil
	}
	if hasDefaultRoute(machine) {
		return nil
	}
	bridge, err := machine.LinkByName(n.node.Bridge)
	if err != nil {
		return fmt.Errorf("finding the pods' bridge: %w", err)
	}
	for _, services := range n.cfg.services {
		// Where they lead does not matter: the proxy changes the destination.
		route := &netlink.Route{LinkIndex: bridge.Attrs().Index, Dst: ipNet(services), Scope: netlink.SCOPE_LINK}
		if err := machine.RouteReplace(route); err != nil {
			return fmt.Errorf("routing Services: %w", err)
		}
	}
	return nil
}
