package nodeipam

import (
	"fmt"
	"net/netip"
	"slices"
)

// maxMaskDifference bounds how many ranges there are: 65,536.
const maxMaskDifference = 16

// Range is a cluster's range of pod addresses and the prefix length of a node's
// share of it.
type Range struct {
	Cluster netip.Prefix
	// NodeMask is at least Cluster.Bits() and at most 16 more.
	NodeMask int
}

// Allocator decides which ranges nodes have. It does nothing but count, and is
// not safe for concurrent use.
type Allocator struct {
	pools []*pool
	// nodes holds the ranges of each node.
	nodes map[string][]netip.Prefix
}

// NewAllocator returns an Allocator whose ranges are all free.
func NewAllocator(ranges ...Range) (*Allocator, error) {
	a := &Allocator{nodes: map[string][]netip.Prefix{}}
	for _, r := range ranges {
		if err := r.valid(); err != nil {
			return nil, err
		}
		a.pools = append(a.pools, &pool{Range: r, used: make([]int32, 1<<(r.NodeMask-r.Cluster.Bits()))})
	}
	return a, nil
}

func (r Range) valid() error {
	if !r.Cluster.IsValid() || r.Cluster != r.Cluster.Masked() {
		return fmt.Errorf("range %s of pods: not a range", r.Cluster)
	}
	if d := r.NodeMask - r.Cluster.Bits(); d < 0 || d > maxMaskDifference || r.NodeMask > r.Cluster.Addr().BitLen() {
		return fmt.Errorf("range %s of pods: a node's prefix length must be %d to %d, not %d",
			r.Cluster, r.Cluster.Bits(), min(r.Cluster.Bits()+maxMaskDifference, r.Cluster.Addr().BitLen()), r.NodeMask)
	}
	return nil
}

// Observe notes what a node has. If it has nothing yet, what was assigned to it
// stays its own.
func (a *Allocator) Observe(node string, have []netip.Prefix) {
	if len(have) == 0 || slices.Equal(a.nodes[node], have) {
		return
	}
	a.Forget(node)
	a.nodes[node] = slices.Clone(have)
	a.count(have, 1)
}

// Assign returns what a node has, after giving it something if it has nothing.
// ok is false if there is nothing left of some family.
func (a *Allocator) Assign(node string) (ranges []netip.Prefix, ok bool) {
	if have := a.nodes[node]; len(have) > 0 {
		return have, true
	}
	for _, p := range a.pools {
		i, free := p.free()
		if !free {
			return nil, false
		}
		ranges = append(ranges, p.at(i))
	}
	for i, p := range a.pools {
		p.next = p.index(ranges[i].Addr()) + 1
	}
	a.Observe(node, ranges)
	return ranges, len(ranges) > 0
}

// Forget frees what a node had and reports whether that was anything.
func (a *Allocator) Forget(node string) bool {
	have := a.nodes[node]
	delete(a.nodes, node)
	a.count(have, -1)
	return len(have) > 0
}

func (a *Allocator) count(ranges []netip.Prefix, by int32) {
	for _, r := range ranges {
		for _, p := range a.pools {
			p.count(r, by)
		}
	}
}

// pool has the ranges of one family.
type pool struct {
	Range
	// used counts for every range the nodes that have some of it. More than one
	// is a user's mistake, and not one of the allocator.
	used []int32
	// next is the index at which the search for a free range begins.
	next int
	// taken are the ranges in use; allocations and releases count since the start.
	taken, allocations, releases int
}

func (p *pool) free() (int, bool) {
	for i := range p.used {
		if j := (p.next + i) % len(p.used); p.used[j] == 0 {
			return j, true
		}
	}
	return 0, false
}

// count counts the ranges that r overlaps; it may be larger or smaller than one.
func (p *pool) count(r netip.Prefix, by int32) {
	if !r.Overlaps(p.Cluster) {
		return
	}
	first, last := 0, len(p.used)-1
	if r.Bits() > p.Cluster.Bits() {
		first = p.index(r.Addr())
		last = first
		if r.Bits() < p.NodeMask {
			last = first + 1<<(p.NodeMask-r.Bits()) - 1
		}
	}
	for i := first; i <= last; i++ {
		p.used[i] += by
		switch {
		case by > 0 && p.used[i] == 1:
			p.taken, p.allocations = p.taken+1, p.allocations+1
		case by < 0 && p.used[i] == 0:
			p.taken, p.releases = p.taken-1, p.releases+1
		}
	}
}

// at returns the i-th range: the bits of i are those between the prefix of the
// cluster's range and that of a node's.
func (p *pool) at(i int) netip.Prefix {
	bytes := p.Cluster.Addr().AsSlice()
	for bit := range p.NodeMask - p.Cluster.Bits() {
		at := p.NodeMask - 1 - bit
		bytes[at/8] |= byte(i>>bit&1) << (7 - at%8)
	}
	addr, _ := netip.AddrFromSlice(bytes) // of the length it came with
	return netip.PrefixFrom(addr, p.NodeMask)
}

// index returns the number of the range that an address of the cluster's is in.
func (p *pool) index(addr netip.Addr) (i int) {
	bytes := addr.AsSlice()
	for at := p.Cluster.Bits(); at < p.NodeMask; at++ {
		i = i<<1 | int(bytes[at/8]>>(7-at%8)&1)
	}
	return i
}

// Subnet returns the i-th share of a range.
func (r Range) Subnet(i int) (netip.Prefix, error) {
	if err := r.valid(); err != nil {
		return netip.Prefix{}, err
	}
	if i >= 1<<(r.NodeMask-r.Cluster.Bits()) {
		return netip.Prefix{}, fmt.Errorf("the pod range %s has no /%d for node %d: set network.podCIDR to a larger one", r.Cluster, r.NodeMask, i)
	}
	return (&pool{Range: r}).at(i), nil
}
