// Package topology helps plugins that count pods by domains of nodes (zones,
// hosts) to look only at nodes that changed since they last looked.
//
// Counting all pods again for every pod to schedule costs O(pods) each time. A
// Memo keeps what was computed of each node and its generation, so that scheduling
// the thousandth replica recounts the one node that the one before it went to.
//
// Nothing here is safe for concurrent use: it belongs to the scheduling cycle.
//
// The API of this package is not stable: see docs/api.md.
package topology

import (
	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/cache"
)

// None is the domain of a node without the label.
const None int32 = -1

// Domains numbers the values of one topology key, so that counts by domain are
// slices and not maps.
type Domains struct {
	key string
	ids map[string]int32
	// slots remember nodes by position. Node objects are immutable, so the same
	// pointer has the same labels.
	slots []domainSlot
}

type domainSlot struct {
	node *v1.Node
	id   int32
}

// Of returns the node's domain or None.
func (d *Domains) Of(n fwk.NodeInfo) int32 {
	node, pos := n.Node(), cache.Position(n)
	if pos >= 0 && pos < len(d.slots) && d.slots[pos].node == node {
		return d.slots[pos].id
	}
	id := d.lookup(node)
	if pos >= 0 {
		for pos >= len(d.slots) {
			d.slots = append(d.slots, domainSlot{})
		}
		d.slots[pos] = domainSlot{node, id}
	}
	return id
}

func (d *Domains) lookup(node *v1.Node) int32 {
	value, ok := node.Labels[d.key]
	if !ok {
		return None
	}
	id, ok := d.ids[value]
	if !ok {
		id = int32(len(d.ids))
		d.ids[value] = id
	}
	return id
}

// Key returns the label that makes these domains.
func (d *Domains) Key() string { return d.key }

// Keys holds Domains by topology key.
type Keys struct{ byKey map[string]*Domains }

// NewKeys returns an empty set.
func NewKeys() *Keys { return &Keys{byKey: map[string]*Domains{}} }

// maxStale bounds the numbers kept for values that no node has any more.
const maxStale = 4096

// Get returns the Domains of key. nodes is how many nodes there are. Call it
// once a cycle and keep the result: numbers are stable only until the next Get.
func (k *Keys) Get(key string, nodes int) *Domains {
	d, ok := k.byKey[key]
	if !ok || len(d.ids) > nodes+maxStale {
		d = &Domains{key: key, ids: map[string]int32{}}
		k.byKey[key] = d
	}
	return d
}

// Counts are numbers by domain.
type Counts []int64

// Add adds n to the domain; None is ignored.
func (c *Counts) Add(id int32, n int64) {
	if id == None {
		return
	}
	for int(id) >= len(*c) {
		*c = append(*c, 0)
	}
	(*c)[id] += n
}

// Of returns the domain's number, 0 for None and for domains never added to.
func (c Counts) Of(id int32) int64 {
	if id < 0 || int(id) >= len(c) {
		return 0
	}
	return c[id]
}

// Memo remembers a value computed of each node until the node changes.
type Memo[T any] struct {
	compute func(fwk.NodeInfo) T
	slots   []slot[T]
	used    int64
}

type slot[T any] struct {
	generation int64
	value      T
}

// Of returns the node's value.
func (m *Memo[T]) Of(n fwk.NodeInfo) T {
	pos, generation := cache.Position(n), n.GetGeneration()
	if pos < 0 {
		return m.compute(n)
	}
	for pos >= len(m.slots) {
		m.slots = append(m.slots, slot[T]{})
	}
	s := &m.slots[pos]
	if s.generation != generation {
		s.generation, s.value = generation, m.compute(n)
	}
	return s.value
}

// Memos holds the most recently used Memos by what they compute.
type Memos[T any] struct {
	byKey map[string]*Memo[T]
	limit int
	tick  int64
}

// NewMemos returns an empty set that keeps at most limit Memos.
func NewMemos[T any](limit int) *Memos[T] {
	return &Memos[T]{byKey: map[string]*Memo[T]{}, limit: limit}
}

// Get returns the Memo of key, made with compute if there is none. Equal keys
// must compute equal values.
func (m *Memos[T]) Get(key string, compute func(fwk.NodeInfo) T) *Memo[T] {
	m.tick++
	memo, ok := m.byKey[key]
	if !ok {
		if len(m.byKey) >= m.limit {
			m.evict()
		}
		memo = &Memo[T]{compute: compute}
		m.byKey[key] = memo
	}
	memo.used = m.tick
	return memo
}

func (m *Memos[T]) evict() {
	oldest, at := "", m.tick
	for key, memo := range m.byKey {
		if memo.used < at {
			oldest, at = key, memo.used
		}
	}
	delete(m.byKey, oldest)
}
