package proxy

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// NetlinkConntrack deletes flows through the handle's network namespace.
type NetlinkConntrack struct{ Handle *netlink.Handle }

var _ Conntrack = NetlinkConntrack{}

// DeleteUDP implements Conntrack.
func (c NetlinkConntrack) DeleteUDP(match func(Flow) bool) (int, error) {
	n, err := c.Handle.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, udpFilter(match))
	if err != nil {
		return int(n), fmt.Errorf("deleting conntrack flows: %w", err)
	}
	return int(n), nil
}

type udpFilter func(Flow) bool

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (f udpFilter) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	if flow.Forward.Protocol != unix.IPPROTO_UDP {
		return false
	}
	to, okTo := netip.AddrFromSlice(flow.Forward.DstIP)
	by, okBy := netip.AddrFromSlice(flow.Reverse.SrcIP)
	return okTo && okBy && f(Flow{
		Destination: netip.AddrPortFrom(to.Unmap(), flow.Forward.DstPort),
		Answerer:    netip.AddrPortFrom(by.Unmap(), flow.Reverse.SrcPort),
	})
}
