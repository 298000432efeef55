// Package egress opens the connections that the server makes on behalf of objects: to the
// address of a pod, a node, an endpoint or a Service's external name. Any user may write
// such an address, and must not use the server to reach what only its own host reaches.
//
// The rule is upstream's for proxy subresources: an address must be global unicast, so neither
// loopback nor link-local, unspecified, multicast or broadcast. Dial applies it to the
// resolved address just before it connects, so a name that leads elsewhere at a second look
// gains nothing. Connections made without Dial are listed with a reason in places_test.go.
//
// Connections by Dial do not go through a proxy of the environment: a transport with Dial
// has no Proxy.
//
// The API of this package is not stable: see docs/api.md.
package egress

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// DialFunc connects to an address, host:port.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Dial connects like net.Dialer, only to addresses that the rule allows. Where
// it refuses, the error's chain has an API error, as CheckIP returns it.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := dialer()
	d.Control = control
	return d.DialContext(ctx, network, address)
}

// Except returns a Dial that does not apply the rule to the given addresses,
// host:port, as they are written and not as they resolve.
func Except(addresses ...string) DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		same := func(a string) bool { return strings.EqualFold(a, address) }
		if !slices.ContainsFunc(addresses, same) {
			return Dial(ctx, network, address)
		}
		d := dialer()
		return d.DialContext(ctx, network, address)
	}
}

// dialer has the limits of upstream's proxy transport.
func dialer() net.Dialer { return net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second} }

// control refuses a resolved address before its socket connects.
func control(network, address string, _ syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return refused()
	}
	a, err := netip.ParseAddrPort(address)
	if err != nil || !allowed(a.Addr()) {
		return refused()
	}
	return nil
}

// CheckIP returns a BadRequest unless ip is an IP address that the rule allows.
func CheckIP(ip string) error {
	a, err := netip.ParseAddr(ip)
	if err != nil || !allowed(a) {
		return refused()
	}
	return nil
}

// CheckHost is CheckIP for a host that may be a name: every address of it must
// be allowed. Use Dial all the same, since a name may change its addresses.
func CheckHost(ctx context.Context, host string) error {
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return apierrors.NewBadRequest(fmt.Sprintf("resolving %s: %v", host, err))
	}
	if len(addresses) == 0 {
		return apierrors.NewBadRequest("no addresses for hostname")
	}
	for _, a := range addresses {
		if !allowed(a) {
			return refused()
		}
	}
	return nil
}

func allowed(a netip.Addr) bool { return a.Unmap().IsGlobalUnicast() }

// refused has the words of upstream's pkg/registry/core/{pod,node}/strategy.go.
func refused() error { return apierrors.NewBadRequest("address not allowed") }
