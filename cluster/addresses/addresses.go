// Package addresses binds the addresses that a cluster's API server listens on, and names those
// by which clients reach it.
//
// The API of this package is not stable: see docs/api.md.
package addresses

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cluster/host"
)

// anywhere is an address that no machine has: the way to it is the default route.
const anywhere = "192.0.2.1"

// Addresses are those of a server that listens.
type Addresses struct {
	config *v1alpha1.Cluster
	// Own is the address for clients on this machine.
	Own netip.AddrPort
	// Listeners accept the connections of clients.
	Listeners []net.Listener
}

// Bind binds the configured address. When that is on loopback and there are
// real nodes, it also binds the first node's address, so that pods and other
// nodes reach the API. The configuration must be valid.
func Bind(config *v1alpha1.Cluster) (*Addresses, error) {
	first, err := bind(config.Listen, net.ListenConfig{})
	if err != nil {
		return nil, err
	}
	bound := first.Addr().(*net.TCPAddr).AddrPort()
	bound = netip.AddrPortFrom(bound.Addr().Unmap(), bound.Port())
	a := &Addresses{config: config, Own: bound, Listeners: []net.Listener{first}}
	if node := nodeAddress(config); bound.Addr().IsLoopback() && *config.Nodes > 0 && node != "" && node != "127.0.0.1" {
		// The network may set that address up later.
		second, err := bind(net.JoinHostPort(node, fmt.Sprint(bound.Port())), net.ListenConfig{Control: bindEarly})
		if err != nil {
			first.Close()
			return nil, err
		}
		a.Listeners = append(a.Listeners, second)
	}
	if bound.Addr().IsUnspecified() {
		a.Own = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), bound.Port())
	}
	return a, nil
}

func bind(address string, config net.ListenConfig) (net.Listener, error) {
	l, err := config.Listen(context.Background(), "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listening on %s: the port is in use; free it or choose another with --listen (port 0 picks a free one)", address)
	}
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return nil, fmt.Errorf("listening on %s: this machine does not have that address; choose another with --listen", address)
	}
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	return l, nil
}

// Close closes the listeners.
func (a *Addresses) Close() {
	for _, l := range a.Listeners {
		l.Close()
	}
}

// URL returns the server's URL for clients on this machine.
func (a *Addresses) URL() string { return "https://" + a.Own.String() }

// Names returns the names and addresses that the server's certificate is for.
func (a *Addresses) Names() []string {
	names := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + a.config.Network.ClusterDomain,
		"127.0.0.1", "::1", a.Service().String()}
	for _, name := range append([]string{a.Own.Addr().String(), a.outward()}, a.config.ExtraNames...) {
		if name != "" && name != "0.0.0.0" && name != "::" && name != "127.0.0.1" {
			names = append(names, name)
		}
	}
	if host, err := os.Hostname(); err == nil {
		names = append(names, strings.ToLower(host))
	}
	return names
}

// Service returns the ClusterIP of the Service kubernetes.
func (a *Addresses) Service() netip.Addr {
	return netip.MustParsePrefix(a.config.Network.ServiceCIDR).Addr().Next() // Validate checked it
}

// Advertised returns the server's address for pods, not valid if they cannot reach it.
func (a *Addresses) Advertised() netip.AddrPort {
	address := a.Own.Addr()
	if a.config.AdvertiseAddress != "" || address.IsLoopback() {
		node, err := netip.ParseAddr(a.outward())
		if err != nil || node.IsLoopback() {
			return netip.AddrPort{}
		}
		address = node
	}
	return netip.AddrPortFrom(address, a.Own.Port())
}

// outward returns the server's address for other machines when its own
// address is loopback: the configured one, that of the first node, or, when it
// listens on all addresses, the one from which this machine reaches others.
func (a *Addresses) outward() string {
	if a.config.AdvertiseAddress != "" {
		return a.config.AdvertiseAddress
	}
	if address := nodeAddress(a.config); address != "" {
		return address
	}
	address, _, err := net.SplitHostPort(a.config.Listen)
	if ip := net.ParseIP(address); err == nil && (address == "" || ip != nil && ip.IsUnspecified()) {
		return host.AddressTowards(anywhere)
	}
	return ""
}

// nodeAddress returns the first real node's address, empty without real nodes:
// the configured one, that of the default route, or the first of the link range.
func nodeAddress(config *v1alpha1.Cluster) string {
	if *config.Nodes == 0 {
		return ""
	}
	if config.Node.Address != "" {
		return config.Node.Address
	}
	if address := host.AddressTowards(anywhere); address != "" {
		return address
	}
	return netip.MustParsePrefix(config.Network.LinkCIDR).Addr().Next().String() // Validate checked it
}
