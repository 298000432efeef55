package network

import (
	"context"
	"fmt"
	"net"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
	"sigs.k8s.io/knftables"
)

// InNetns calls fn on a thread that is in the network namespace at path; "" is
// the process's own. Sockets that fn opens stay in that namespace, and so do
// processes it starts; goroutines it starts are not in it.
func InNetns(path string, fn func() error) error {
	if path == "" {
		return fn()
	}
	result := make(chan error, 1)
	go func() {
		// A goroutine that ends locked takes its thread along; that is wanted
		// when the thread could not be put back.
		runtime.LockOSThread()
		home, err := netns.Get()
		if err != nil {
			runtime.UnlockOSThread()
			result <- fmt.Errorf("reading the network namespace: %w", err)
			return
		}
		defer home.Close()
		target, err := netns.GetFromPath(path)
		if err != nil {
			runtime.UnlockOSThread()
			result <- fmt.Errorf("opening network namespace %s: %w", path, err)
			return
		}
		defer target.Close()
		if err := netns.Set(target); err != nil {
			runtime.UnlockOSThread()
			result <- fmt.Errorf("entering network namespace %s: %w", path, err)
			return
		}
		err = fn()
		if netns.Set(home) == nil {
			runtime.UnlockOSThread()
		}
		result <- err
	}()
	return <-result
}

// Dial opens connections from the namespace at path. Names are resolved outside
// of it.
func Dial(path string) func(ctx context.Context, network, address string) (net.Conn, error) {
	// No fallback, because it would dial on another goroutine.
	dialer := net.Dialer{FallbackDelay: -1}
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = InNetns(path, func() error {
			conn, err = dialer.DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
}

// Listen opens listeners in the namespace at path.
func Listen(path string) func(network, address string) (net.Listener, error) {
	return func(network, address string) (l net.Listener, err error) {
		err = InNetns(path, func() error {
			l, err = net.Listen(network, address)
			return err
		})
		return l, err
	}
}

// ListenPacket opens datagram sockets in the namespace at path.
func ListenPacket(path string) func(network, address string) (net.PacketConn, error) {
	return func(network, address string) (c net.PacketConn, err error) {
		err = InNetns(path, func() error {
			c, err = net.ListenPacket(network, address)
			return err
		})
		return c, err
	}
}

// Handle returns a netlink handle for routes, links and conntrack of the
// namespace at path. The caller closes it.
func Handle(path string) (*netlink.Handle, error) {
	if path == "" {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE, unix.NETLINK_NETFILTER)
		if err != nil {
			return nil, fmt.Errorf("opening netlink: %w", err)
		}
		return h, nil
	}
	ns, err := netns.GetFromPath(path)
	if err != nil {
		return nil, fmt.Errorf("opening network namespace %s: %w", path, err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("opening netlink in %s: %w", path, err)
	}
	return h, nil
}

// NFT returns an interface to a table in the namespace at path. knftables runs
// the nft program, which is in the namespace of the thread that starts it.
func NFT(path string, family knftables.Family, table string) (knftables.Interface, error) {
	var inner knftables.Interface
	err := InNetns(path, func() (err error) {
		inner, err = knftables.New(family, table)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("using nftables: %w", err)
	}
	if path == "" {
		return inner, nil
	}
	return &nftIn{inner, path}, nil
}

// nftIn runs every command in the namespace at path.
type nftIn struct {
	knftables.Interface
	path string
}

func (n *nftIn) Run(ctx context.Context, tx *knftables.Transaction) error {
	return InNetns(n.path, func() error { return n.Interface.Run(ctx, tx) })
}

func (n *nftIn) Check(ctx context.Context, tx *knftables.Transaction) error {
	return InNetns(n.path, func() error { return n.Interface.Check(ctx, tx) })
}

func (n *nftIn) ListAll(ctx context.Context) (all map[string][]string, err error) {
	err = InNetns(n.path, func() (err error) { all, err = n.Interface.ListAll(ctx); return err })
	return all, err
}

func (n *nftIn) List(ctx context.Context, kind string) (list []string, err error) {
	err = InNetns(n.path, func() (err error) { list, err = n.Interface.List(ctx, kind); return err })
	return list, err
}

func (n *nftIn) ListRules(ctx context.Context, chain string) (rules []*knftables.Rule, err error) {
	err = InNetns(n.path, func() (err error) { rules, err = n.Interface.ListRules(ctx, chain); return err })
	return rules, err
}

func (n *nftIn) ListElements(ctx context.Context, kind, name string) (elements []*knftables.Element, err error) {
	err = InNetns(n.path, func() (err error) { elements, err = n.Interface.ListElements(ctx, kind, name); return err })
	return elements, err
}

func (n *nftIn) ListCounters(ctx context.Context) (counters []*knftables.Counter, err error) {
	err = InNetns(n.path, func() (err error) { counters, err = n.Interface.ListCounters(ctx); return err })
	return counters, err
}
