// Package alarm wakes keys at times of an injected clock: one heap and one
// timer for any number of keys, where a queue's AddAfter would go by the wall
// clock whatever clock its controller has.
//
// The API of this package is not stable: see docs/api.md.
package alarm

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Clock holds the pending alarms. A key has at most one. It is safe for
// concurrent use; alarms go off only while Run runs.
type Clock[K comparable] struct {
	clock clock.Clock
	// poke wakes Run when the earliest alarm may have changed.
	poke chan struct{}

	mu      sync.Mutex
	entries map[K]*entry[K]
	order   entries[K]
}

// New returns a Clock without alarms.
func New[K comparable](clk clock.Clock) *Clock[K] {
	return &Clock[K]{clock: clk, poke: make(chan struct{}, 1), entries: map[K]*entry[K]{}}
}

// Set makes key's alarm go off at at, in place of any it had.
func (c *Clock[K]) Set(key K, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e == nil {
		e = &entry[K]{key: key, at: at}
		c.entries[key] = e
		heap.Push(&c.order, e)
	} else {
		e.at = at
		heap.Fix(&c.order, e.index)
	}
	if c.order[0] == e {
		c.wake()
	}
}

// Cancel drops key's alarm and reports whether it had one.
func (c *Clock[K]) Cancel(key K) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e == nil {
		return false
	}
	delete(c.entries, key)
	heap.Remove(&c.order, e.index)
	return true
}

// At returns when key's alarm goes off, if it has one.
func (c *Clock[K]) At(key K) (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[key]; e != nil {
		return e.at, true
	}
	return time.Time{}, false
}

func (c *Clock[K]) wake() {
	select {
	case c.poke <- struct{}{}:
	default:
	}
}

// Run calls ring for each key whose alarm goes off, one at a time, until ctx is
// done. ring may set alarms.
func (c *Clock[K]) Run(ctx context.Context, ring func(K)) {
	for {
		due, next, any := c.take(c.clock.Now())
		for _, key := range due {
			ring(key)
		}
		if len(due) > 0 {
			continue
		}
		if !c.sleep(ctx, next, any) {
			return
		}
	}
}

// sleep returns true when there may be an alarm to ring, false when ctx is done.
func (c *Clock[K]) sleep(ctx context.Context, until time.Time, armed bool) bool {
	var fired <-chan time.Time
	if armed {
		timer := c.clock.NewTimer(until.Sub(c.clock.Now()))
		defer timer.Stop()
		fired = timer.C()
	}
	select {
	case <-ctx.Done():
		return false
	case <-c.poke:
	case <-fired:
	}
	return true
}

// take removes and returns the keys that are due, in order, and when the next is.
func (c *Clock[K]) take(now time.Time) (due []K, next time.Time, armed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.order) > 0 && !c.order[0].at.After(now) {
		e := heap.Pop(&c.order).(*entry[K])
		delete(c.entries, e.key)
		due = append(due, e.key)
	}
	if len(c.order) > 0 {
		return due, c.order[0].at, true
	}
	return due, time.Time{}, false
}

type entry[K comparable] struct {
	key   K
	at    time.Time
	index int
}

// entries implements heap.Interface by time.
type entries[K comparable] []*entry[K]

func (h entries[K]) Len() int           { return len(h) }
func (h entries[K]) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h entries[K]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *entries[K]) Push(x any) {
	e := x.(*entry[K])
	e.index = len(*h)
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *entries[K]) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
