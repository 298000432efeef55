package nodeipam

import (
	"fmt"
	"net/netip"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
)

// Ranges hold a process's state of the ranges of nodes, longer than it leads:
// nodes that join ask every server. It is safe for concurrent use.
type Ranges struct {
	mu     sync.Mutex
	ranges *Allocator
	// registered are the nodes that had an object, and pending those that are about
	// to have one.
	registered, pending sets.Set[string]
}

// NewRanges returns the cluster's ranges, one of each family, the primary first,
// or an error if they make no sense. What is reserved is given only to the nodes
// named, whether they exist or not.
func NewRanges(reserved map[string][]netip.Prefix, ranges ...Range) (*Ranges, error) {
	allocator, err := NewAllocator(ranges...)
	if err != nil {
		return nil, err
	}
	for node, have := range reserved {
		allocator.Observe(reservedFor+node, have)
	}
	return &Ranges{ranges: allocator, registered: sets.New[string](), pending: sets.New[string]()}, nil
}

// reservedFor marks what is kept for a node whether it exists or not; no node
// has such a name.
const reservedFor = "\x00"

// Reserve returns the ranges of a node that is about to register with them.
// nodes are all that there are now, and pending has the ranges of those that are about to
// register. A node that was to register and is in neither is given up.
func (r *Ranges) Reserve(node string, nodes []corev1.Node, pending map[string][]netip.Prefix) ([]netip.Prefix, error) {
	r.observeAll(nodes)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expect(pending)
	ranges, ok := r.ranges.Assign(node)
	if !ok {
		return nil, fmt.Errorf("giving node %s a range of pod addresses: none is left, set network.podCIDR to a larger one", node)
	}
	r.pending.Insert(node)
	return ranges, nil
}

// Expect replaces what nodes that are about to register have, and frees what
// those had that are not among them any more.
func (r *Ranges) Expect(pending map[string][]netip.Prefix) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expect(pending)
}

func (r *Ranges) expect(pending map[string][]netip.Prefix) {
	before := r.pending
	r.pending = sets.KeySet(pending)
	for node := range before.Difference(r.pending).Difference(r.registered) {
		r.ranges.Forget(node)
	}
	for node, have := range pending {
		if !r.registered.Has(node) {
			r.ranges.Observe(node, have)
		}
	}
}

// observeAll notes what nodes have, and which are gone.
func (r *Ranges) observeAll(nodes []corev1.Node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gone := r.registered
	r.registered = sets.New[string]()
	for i := range nodes {
		r.observe(&nodes[i])
		gone.Delete(nodes[i].Name)
	}
	for node := range gone {
		r.ranges.Forget(node)
	}
}

func (r *Ranges) observe(node *corev1.Node) {
	r.registered.Insert(node.Name)
	r.ranges.Observe(node.Name, podCIDRs(node))
}

func (r *Ranges) assign(node *corev1.Node) ([]netip.Prefix, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.observe(node)
	return r.ranges.Assign(node.Name)
}

func (r *Ranges) forget(node string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.registered.Delete(node)
	return r.ranges.Forget(node)
}

// podCIDRs returns the ranges a node has; what cannot be read as one is left out.
func podCIDRs(node *corev1.Node) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range node.Spec.PodCIDRs {
		if p, err := netip.ParsePrefix(s); err == nil {
			out = append(out, p)
		}
	}
	return out
}
