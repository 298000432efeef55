package simulated

import (
	"net/netip"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// addresses hands out pod addresses, each to one pod at a time.
type addresses struct {
	mu     sync.Mutex
	byPod  map[types.UID]netip.Addr
	used   map[netip.Addr]types.UID
	cursor map[netip.Prefix]netip.Addr
}

func newAddresses() *addresses {
	return &addresses{
		byPod:  map[types.UID]netip.Addr{},
		used:   map[netip.Addr]types.UID{},
		cursor: map[netip.Prefix]netip.Addr{},
	}
}

// reserve records an address that a pod already has. It reports whether the
// address is the pod's now.
func (a *addresses) reserve(pod types.UID, ip string) bool {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if owner, taken := a.used[addr]; taken {
		return owner == pod
	}
	if old, has := a.byPod[pod]; has {
		delete(a.used, old)
	}
	a.byPod[pod], a.used[addr] = addr, pod
	return true
}

// assign returns the pod's address, a free one of the range if it has none, and
// false if the range is exhausted. The walk goes on where it last stopped, so
// that an address is not reused soon after its pod went.
func (a *addresses) assign(pod types.UID, cidr netip.Prefix) (string, bool) {
	cidr = cidr.Masked()
	a.mu.Lock()
	defer a.mu.Unlock()
	if addr, has := a.byPod[pod]; has {
		return addr.String(), true
	}
	first := cidr.Addr().Next() // the range's own address is not a host's
	start, ok := a.cursor[cidr]
	if !ok || !cidr.Contains(start) {
		start = first
	}
	addr := start
	for {
		if _, taken := a.used[addr]; !taken {
			a.byPod[pod], a.used[addr] = addr, pod
			a.cursor[cidr] = addr.Next()
			return addr.String(), true
		}
		if addr = addr.Next(); !cidr.Contains(addr) {
			addr = first
		}
		if addr == start {
			return "", false
		}
	}
}

func (a *addresses) release(pod types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if addr, has := a.byPod[pod]; has {
		delete(a.used, addr)
		delete(a.byPod, pod)
	}
}

// nth returns the i-th host address of a range, from 0.
func nth(cidr netip.Prefix, i int) netip.Addr {
	addr := cidr.Masked().Addr()
	b := addr.AsSlice()
	carry := i + 1
	for k := len(b) - 1; k >= 0 && carry > 0; k-- {
		carry += int(b[k])
		b[k] = byte(carry)
		carry >>= 8
	}
	out, _ := netip.AddrFromSlice(b)
	return out
}
