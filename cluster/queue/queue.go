// Package queue is the work queue of all controllers. It holds each item once, hands
// out the most urgent first and delayed ones by a clock, and counts everything.
//
// It has the contract of controller-runtime's priority queue, and differs in its cost and in
// what it exposes: it has no goroutine of its own and wakes for nothing, delays may go by
// the clock of a test, and its owner can list what waits, what is worked on and since when.
//
//  1. An item is given to one worker at a time. What is added meanwhile is given
//     out again once it is done.
//  2. An item that is added again keeps the higher of its priorities and the
//     earlier of its times.
//  3. Of the same priority, what was ready first is given out first.
//
// The API of this package is not stable: see docs/api.md.
package queue

import (
	"container/heap"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
)

// shortest is the unit of all durations in the API. A shorter delay is a pause
// of a controller itself, to see several changes at once.
const shortest = time.Second

// Queue implements priorityqueue.PriorityQueue.
type Queue[T comparable] struct {
	limiter workqueue.TypedRateLimiter[T]

	mu sync.Mutex
	// free wakes a worker.
	free  sync.Cond
	items map[T]*item[T]
	ready readyHeap[T]
	// later are delayed items: those of the API's times, by the clock that was
	// given, and retries and pauses, in real time. They are the same if it is
	// the real one.
	later, soon *delayed[T]
	busy        map[T]time.Time
	parked      int
	order       uint64
	closed      bool
	counts      counts
}

var _ priorityqueue.PriorityQueue[string] = &Queue[string]{}

// item is queued: it waits for its time, or is ready, or parked, which is ready
// but for a worker that has it still.
type item[T comparable] struct {
	key      T
	priority int
	order    uint64
	state    state
	since    time.Time // when it became ready
	at       time.Time // when it will
	in       *delayed[T]
	place    int // in its heap
}

type state int

const (
	waiting state = iota
	ready
	parked
)

// New makes a queue. limiter sets how long a failed item must wait, in real
// time; all other delays of a second and more go by clk.
func New[T comparable](limiter workqueue.TypedRateLimiter[T], clk clock.Clock) *Queue[T] {
	q := &Queue[T]{limiter: limiter, items: map[T]*item[T]{}, busy: map[T]time.Time{}}
	q.free.L = &q.mu
	q.later = &delayed[T]{clock: clk, due: q.due}
	q.soon = q.later
	if _, ok := clk.(clock.RealClock); !ok {
		q.soon = &delayed[T]{clock: clock.RealClock{}, due: q.due}
	}
	return q
}

// AddWithOpts implements priorityqueue.PriorityQueue.
func (q *Queue[T]) AddWithOpts(o priorityqueue.AddOpts, keys ...T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	priority := 0
	if o.Priority != nil {
		priority = *o.Priority
	}
	for _, key := range keys {
		after, in := o.After, q.later
		if after < shortest {
			in = q.soon
		}
		if o.RateLimited {
			if wait := q.limiter.When(key); after == 0 || wait < after {
				after, in = wait, q.soon
			}
		}
		q.add(key, priority, after, in)
	}
	q.later.arm()
	q.soon.arm()
}

// add queues one item, or hurries the one that is queued.
func (q *Queue[T]) add(key T, priority int, after time.Duration, in *delayed[T]) {
	var at time.Time
	if after > 0 {
		at = in.clock.Now().Add(after)
		q.counts.retries++
	}
	i := q.items[key]
	if i == nil {
		i = &item[T]{key: key, priority: priority, order: q.order}
		q.order++
		q.items[key] = i
		if after > 0 {
			in.push(i, at)
		} else {
			q.makeReady(i)
		}
		return
	}
	if priority > i.priority {
		i.priority, i.order = priority, q.order
		q.order++
		if i.state == ready {
			heap.Fix(&q.ready, i.place)
		}
	}
	switch {
	case i.state != waiting:
	case after <= 0:
		i.in.remove(i)
		q.makeReady(i)
	case in.remaining(at) < i.in.remaining(i.at):
		i.in.remove(i)
		in.push(i, at)
	}
}

// makeReady takes an item that is in no heap.
func (q *Queue[T]) makeReady(i *item[T]) {
	i.since = time.Now()
	q.counts.adds++
	if _, working := q.busy[i.key]; working {
		i.state = parked
		q.parked++
		return
	}
	i.state = ready
	heap.Push(&q.ready, i)
	q.free.Signal()
}

// due makes ready what has waited long enough.
func (q *Queue[T]) due(d *delayed[T]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	now := d.clock.Now()
	for len(d.heap) > 0 && !d.heap[0].at.After(now) {
		i := d.heap[0]
		d.remove(i)
		i.order = q.order
		q.order++
		q.makeReady(i)
	}
	d.armed = time.Time{}
	d.arm()
}

// GetWithPriority implements priorityqueue.PriorityQueue.
func (q *Queue[T]) GetWithPriority() (key T, priority int, shutdown bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.ready) == 0 && !q.closed {
		q.free.Wait()
	}
	if q.closed {
		return key, 0, true
	}
	i := heap.Pop(&q.ready).(*item[T])
	delete(q.items, i.key)
	now := time.Now()
	q.busy[i.key] = now
	q.counts.active = now
	q.counts.queued.observe(now.Sub(i.since))
	return i.key, i.priority, false
}

// Done implements workqueue.TypedInterface.
func (q *Queue[T]) Done(key T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if started, ok := q.busy[key]; ok {
		delete(q.busy, key)
		q.counts.active = time.Now()
		q.counts.worked.observe(q.counts.active.Sub(started))
	}
	if i := q.items[key]; i != nil && i.state == parked && !q.closed {
		q.parked--
		i.state = ready
		heap.Push(&q.ready, i)
		q.free.Signal()
	}
}

// Get implements workqueue.TypedInterface.
func (q *Queue[T]) Get() (T, bool) {
	key, _, shutdown := q.GetWithPriority()
	return key, shutdown
}

// Add implements workqueue.TypedInterface.
func (q *Queue[T]) Add(key T) { q.AddWithOpts(priorityqueue.AddOpts{}, key) }

// AddAfter implements workqueue.TypedDelayingInterface.
func (q *Queue[T]) AddAfter(key T, after time.Duration) {
	q.AddWithOpts(priorityqueue.AddOpts{After: after}, key)
}

// AddRateLimited implements workqueue.TypedRateLimitingInterface.
func (q *Queue[T]) AddRateLimited(key T) {
	q.AddWithOpts(priorityqueue.AddOpts{RateLimited: true}, key)
}

// Forget implements workqueue.TypedRateLimitingInterface.
func (q *Queue[T]) Forget(key T) { q.limiter.Forget(key) }

// NumRequeues implements workqueue.TypedRateLimitingInterface.
func (q *Queue[T]) NumRequeues(key T) int { return q.limiter.NumRequeues(key) }

// Len returns the number of items that are ready and not given out.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.ready) + q.parked
}

// ShuttingDown implements workqueue.TypedInterface.
func (q *Queue[T]) ShuttingDown() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

// ShutDown ends all Gets. What is queued is dropped.
func (q *Queue[T]) ShutDown() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.later.disarm()
	q.soon.disarm()
	q.free.Broadcast()
}

// ShutDownWithDrain is ShutDown: controllers reconcile every object when they
// start, so nothing needs to be drained.
func (q *Queue[T]) ShutDownWithDrain() { q.ShutDown() }
