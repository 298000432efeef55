package host

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
)

// NodeName returns the given name or the host's.
func NodeName(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("naming the node: %w", err)
	}
	return strings.ToLower(host), nil
}

// AddressTowards returns this machine's address on the way to a host, or on its
// default route; empty if it has none.
func AddressTowards(host string) string {
	for _, to := range []string{host, "192.0.2.1"} {
		// Connecting a UDP socket sends nothing; it asks the kernel for the route.
		conn, err := net.Dial("udp4", net.JoinHostPort(to, "9"))
		if err != nil {
			continue
		}
		ip := conn.LocalAddr().(*net.UDPAddr).IP
		conn.Close()
		if !ip.IsLoopback() {
			return ip.String()
		}
	}
	return ""
}

// Addresses returns the addresses of this machine's interfaces.
func Addresses() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("listing the machine's addresses: %w", err)
	}
	var addresses []netip.Addr
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			addresses = append(addresses, p.Addr().Unmap().WithZone(""))
		}
	}
	return addresses, nil
}
