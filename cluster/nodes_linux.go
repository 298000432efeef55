package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/coracle-k8s/coracle/carried"
	"github.com/coracle-k8s/coracle/nodeagent/network"
)

// checkNodes says, before anything is made, what real nodes lack here.
func (c *Cluster) checkNodes() error {
	if *c.config.Nodes == 0 {
		return nil
	}
	if err := checkHost(); err != nil {
		return fmt.Errorf("%w, or run with --nodes 0 --simulated-nodes 1", err)
	}
	return nil
}

// checkHost says what real nodes lack on this machine, and what to do.
func checkHost() error {
	if os.Geteuid() != 0 {
		return errors.New("real nodes need root (namespaces, cgroups, nftables): run as root")
	}
	if missing := missingCapabilities(); len(missing) > 0 {
		return fmt.Errorf("real nodes need the capabilities %s, which root lacks here: run where root has them", strings.Join(missing, ", "))
	}
	if _, err := exec.LookPath("nft"); err != nil {
		return errors.New("real nodes need the program nft: install it (Debian: apt-get install nftables)")
	}
	// It asks the kernel, and has it load its module when that is one.
	if out, err := exec.Command("nft", "list", "tables").CombinedOutput(); err != nil {
		return fmt.Errorf("real nodes need nftables in the kernel (CONFIG_NF_TABLES), but nft says %q: use a kernel that has it", firstLine(out))
	}
	return checkOverlay()
}

func firstLine(text []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return line
}

func missingCapabilities() []string {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return nil // what is missing shows later, less clearly
	}
	var missing []string
	for _, c := range []struct {
		bit  int
		name string
	}{{unix.CAP_NET_ADMIN, "NET_ADMIN"}, {unix.CAP_SYS_ADMIN, "SYS_ADMIN"}} {
		if data[0].Effective&(1<<c.bit) == 0 {
			missing = append(missing, "CAP_"+c.name)
		}
	}
	return missing
}

// checkOverlay has the kernel load overlayfs when it is a module.
func checkOverlay() error {
	has := func() bool {
		known, err := os.ReadFile("/proc/filesystems")
		return err != nil || strings.Contains(string(known), "\toverlay\n")
	}
	if has() || exec.Command("modprobe", "overlay").Run() == nil && has() {
		return nil
	}
	return errors.New("real nodes need overlayfs in the kernel (CONFIG_OVERLAY_FS): use a kernel that has it")
}

// nodeAddress is the first real node's address, empty without real nodes: the
// configured one, that of the default route, or the first of the link range.
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
		if err := removeCgroups(c.id, func(string) {}); err != nil {
			c.options.logger.Error(err, "Removing cgroups")
		}
	})
	host, err := c.nodeHost(p.manager)
	if err != nil {
		return err
	}
	for i := range int(*c.config.Nodes) {
		n, err := c.newNode(host, i)
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

// nodeHost is what all nodes of this process share.
func (c *Cluster) nodeHost(mgr manager.Manager) (*nodeHost, error) {
	live, err := client.NewWithWatch(c.server.RESTConfig(), client.Options{Scheme: c.clientScheme, Mapper: c.server.Mapper()})
	if err != nil {
		return nil, fmt.Errorf("making the nodes' client: %w", err)
	}
	return &nodeHost{
		id: c.id, dir: c.config.DataDir, network: c.config.Network, node: c.config.Node,
		manager: mgr, live: live, clock: c.options.clock, log: c.options.logger, metrics: c.metrics, progress: c.options.progress,
		programs: programs(c.path("bin"), c.config.Node.BinDir, c.options.progress), serve: c.nodes.add,
	}, nil
}

// programs installs node programs on its first call.
func programs(dir, given string, progress func(string)) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		progress("installing node programs")
		return carried.Install(dir, given)
	})
}

func (c *Cluster) newNode(host *nodeHost, index int) (*realNode, error) {
	name, err := ownNodeName(c.config.Node.Name, index)
	if err != nil {
		return nil, err
	}
	subnet, err := podSubnet(c.config.Network, index)
	if err != nil {
		return nil, err
	}
	return &realNode{nodeHost: host, name: name, index: index, podCIDR: subnet.String()}, nil
}
