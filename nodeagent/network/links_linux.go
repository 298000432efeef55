package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	// netnsDir is the directory of ip-netns(8)'s namespaces.
	netnsDir = "/run/netns"
	// insideLink is a node's link to the machine, in its own namespace.
	insideLink = "eth0"
)

// ensureNetns makes a named namespace unless there is one, and returns its path.
func ensureNetns(name string) (string, error) {
	path := filepath.Join(netnsDir, name)
	if ns, err := netns.GetFromPath(path); err == nil {
		// A file that is left of a namespace lost at boot opens, too; only a
		// real one can be entered.
		ns.Close()
		if InNetns(path, func() error { return nil }) == nil {
			return path, nil
		}
		if err := netns.DeleteNamed(name); err != nil {
			return "", fmt.Errorf("removing stale namespace %s: %w", name, err)
		}
	}
	result := make(chan error, 1)
	go func() {
		// The thread is left in the new namespace and ends with the goroutine.
		runtime.LockOSThread()
		ns, err := netns.NewNamed(name)
		if err == nil {
			ns.Close()
		}
		result <- err
	}()
	if err := <-result; err != nil {
		return "", fmt.Errorf("making network namespace %s: %w", name, err)
	}
	return path, nil
}

// ensureLinkNetwork makes the bridge between the machine and its nodes and
// returns the machine's address on it.
func (n *Network) ensureLinkNetwork(ctx context.Context, machine *netlink.Handle) (string, error) {
	address, err := nodeAddress(n.cfg.link, 0)
	if err != nil {
		return "", err
	}
	if err := n.ensureBridge(machine, n.cfg.linkBridge(), address); err != nil {
		return "", err
	}
	return address.Addr().String(), n.writeLinkTable(ctx)
}

func (n *Network) ensureBridge(h *netlink.Handle, name string, address netip.Prefix) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = name, n.cfg.MTU
	err := h.LinkAdd(&netlink.Bridge{LinkAttrs: attrs})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("making bridge %s: %w", name, err)
	}
	return ensureAddress(h, name, address)
}

// ensurePodBridge makes the pods' bridge as the bridge plugin would, so that its
// settings hold for the first pod already.
func (n *Network) ensurePodBridge(pods netip.Prefix, isolated bool) error {
	h, err := Handle(n.node.Netns)
	if err != nil {
		return err
	}
	defer h.Close()
	// host-local gives the first address to the gateway.
	gateway := netip.PrefixFrom(pods.Addr().Next(), pods.Bits())
	if err := n.ensureBridge(h, n.node.Bridge, gateway); err != nil {
		return err
	}
	answerARP := "0"
	if isolated {
		answerARP = "1"
	}
	return InNetns(n.node.Netns, func() error {
		return errors.Join(
			setSysctl("net/ipv4/conf/"+n.node.Bridge+"/proxy_arp_pvlan", answerARP),
			setSysctl("net/ipv4/conf/"+n.node.Bridge+"/send_redirects", "0"))
	})
}

// bridgeFilter is br_netfilter's switch: frames of bridges pass nftables, too.
const bridgeFilter = "net/bridge/bridge-nf-call-iptables"

// isolation reports which of the two ways of the package comment is used. In a
// node's own namespace br_netfilter is switched off. The machine's switch is
// left alone, as other software may count on it.
func (n *Network) isolation() (isolated bool, err error) {
	err = InNetns(n.node.Netns, func() error {
		value, err := os.ReadFile(filepath.Join("/proc/sys", bridgeFilter))
		switch {
		case errors.Is(err, os.ErrNotExist):
			isolated = true
			return nil
		case err != nil:
			return fmt.Errorf("reading sysctl: %w", err)
		case n.node.Netns != "":
			isolated = true
			return setSysctl(bridgeFilter, "0")
		}
		isolated = strings.TrimSpace(string(value)) == "0"
		return nil
	})
	return isolated, err
}

func (n *Network) ensureVeth(machine, inside *netlink.Handle, nsPath string) error {
	outside := n.cfg.veth(n.cfg.NodeIndex)
	if _, err := inside.LinkByName(insideLink); err != nil {
		// A half of a pair whose other half went with its namespace.
		if old, err := machine.LinkByName(outside); err == nil {
			if err := machine.LinkDel(old); err != nil {
				return fmt.Errorf("removing stale link %s: %w", outside, err)
			}
		}
		ns, err := netns.GetFromPath(nsPath)
		if err != nil {
			return fmt.Errorf("opening network namespace %s: %w", nsPath, err)
		}
		defer ns.Close()
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = outside, n.cfg.MTU
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: insideLink, PeerNamespace: netlink.NsFd(ns)}
		if err := machine.LinkAdd(veth); err != nil {
			return fmt.Errorf("making link %s: %w", outside, err)
		}
	}
	link, err := machine.LinkByName(outside)
	if err != nil {
		return fmt.Errorf("finding link %s: %w", outside, err)
	}
	bridge, err := machine.LinkByName(n.cfg.linkBridge())
	if err != nil {
		return fmt.Errorf("finding the link network: %w", err)
	}
	if err := machine.LinkSetMaster(link, bridge); err != nil {
		return fmt.Errorf("joining link %s to its bridge: %w", outside, err)
	}
	// With br_netfilter the machine translates while it bridges: a node that asks
	// the machine's node port gets its own pod only through the port it came by.
	if err := machine.LinkSetHairpin(link, true); err != nil {
		return fmt.Errorf("setting hairpin mode of link %s: %w", outside, err)
	}
	return ensureUp(machine, outside)
}

func ensureUp(h *netlink.Handle, name string) error {
	link, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding link %s: %w", name, err)
	}
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("setting link %s up: %w", name, err)
	}
	return nil
}

// ensureAddress gives the link exactly this IPv4 address and sets it up.
func ensureAddress(h *netlink.Handle, name string, address netip.Prefix) error {
	link, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding link %s: %w", name, err)
	}
	want := &net.IPNet{IP: net.IP(address.Addr().AsSlice()), Mask: net.CIDRMask(address.Bits(), 32)}
	have, err := h.AddrList(link, unix.AF_INET)
	if err != nil {
		return fmt.Errorf("reading addresses of %s: %w", name, err)
	}
	for _, a := range have {
		if a.IPNet.String() != want.String() {
			if err := h.AddrDel(link, &a); err != nil {
				return fmt.Errorf("removing address %s of %s: %w", a.IPNet, name, err)
			}
		}
	}
	if err := h.AddrReplace(link, &netlink.Addr{IPNet: want}); err != nil {
		return fmt.Errorf("adding address %s to %s: %w", address, name, err)
	}
	return ensureUp(h, name)
}

func enableForwarding(path string) error {
	return InNetns(path, func() error { return setSysctl("net/ipv4/ip_forward", "1") })
}

// setSysctl writes only what differs: /proc/sys may be read-only and right.
func setSysctl(name, value string) error {
	path := filepath.Join("/proc/sys", name)
	if old, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(old)) == value {
		return nil
	}
	if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
		return fmt.Errorf("setting sysctl %s: %w", strings.ReplaceAll(name, "/", "."), err)
	}
	return nil
}

func everywhere() *net.IPNet { return &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)} }

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: net.IP(p.Addr().AsSlice()), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func defaultRoutes(h *netlink.Handle) []netlink.Route {
	routes, err := h.RouteList(nil, unix.AF_INET)
	if err != nil {
		return nil
	}
	var out []netlink.Route
	for _, r := range routes {
		if r.Dst == nil || r.Dst.String() == everywhere().String() {
			out = append(out, r)
		}
	}
	return out
}

func hasDefaultRoute(h *netlink.Handle) bool { return len(defaultRoutes(h)) > 0 }

// defaultMTU returns the MTU of the default route's link, or 0 (the kernel's choice).
func defaultMTU(h *netlink.Handle) int {
	for _, r := range defaultRoutes(h) {
		if link, err := h.LinkByIndex(r.LinkIndex); err == nil {
			return link.Attrs().MTU
		}
	}
	return 0
}

// defaultAddress returns the address that the machine uses towards its default
// route, or "".
func defaultAddress(h *netlink.Handle) string {
	for _, r := range defaultRoutes(h) {
		if r.Src != nil {
			return r.Src.String()
		}
		link, err := h.LinkByIndex(r.LinkIndex)
		if err != nil {
			continue
		}
		addrs, err := h.AddrList(link, unix.AF_INET)
		if err == nil && len(addrs) > 0 {
			return addrs[0].IP.String()
		}
	}
	return ""
}
