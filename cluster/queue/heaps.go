package queue

import (
	"container/heap"
	"time"

	"k8s.io/utils/clock"
)

// readyHeap has what comes next on top.
type readyHeap[T comparable] []*item[T]

func (h readyHeap[T]) Len() int { return len(h) }
func (h readyHeap[T]) Less(a, b int) bool {
	if h[a].priority != h[b].priority {
		return h[a].priority > h[b].priority
	}
	return h[a].order < h[b].order
}
func (h readyHeap[T]) Swap(a, b int) {
	h[a], h[b] = h[b], h[a]
	h[a].place, h[b].place = a, b
}
func (h *readyHeap[T]) Push(x any) {
	i := x.(*item[T])
	i.place = len(*h)
	*h = append(*h, i)
}
func (h *readyHeap[T]) Pop() any { return pop((*[]*item[T])(h)) }

// laterHeap has what is due first on top.
type laterHeap[T comparable] []*item[T]

func (h laterHeap[T]) Len() int { return len(h) }
func (h laterHeap[T]) Less(a, b int) bool {
	if !h[a].at.Equal(h[b].at) {
		return h[a].at.Before(h[b].at)
	}
	return h[a].order < h[b].order
}
func (h laterHeap[T]) Swap(a, b int) {
	h[a], h[b] = h[b], h[a]
	h[a].place, h[b].place = a, b
}
func (h *laterHeap[T]) Push(x any) {
	i := x.(*item[T])
	i.place = len(*h)
	*h = append(*h, i)
}
func (h *laterHeap[T]) Pop() any { return pop((*[]*item[T])(h)) }

func pop[T comparable](h *[]*item[T]) any {
	last := len(*h) - 1
	i := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return i
}

// delayed are items that wait for a time of one clock. The queue's lock guards
// it. There is a timer for the first of them only.
type delayed[T comparable] struct {
	clock clock.Clock
	due   func(*delayed[T])
	heap  laterHeap[T]
	armed time.Time // what the timer waits for, zero if it does not
	stop  func()
}

func (d *delayed[T]) push(i *item[T], at time.Time) {
	i.state, i.at, i.in = waiting, at, d
	heap.Push(&d.heap, i)
}

func (d *delayed[T]) remove(i *item[T]) {
	heap.Remove(&d.heap, i.place)
	i.in = nil
}

// remaining makes times of different clocks comparable.
func (d *delayed[T]) remaining(at time.Time) time.Duration { return at.Sub(d.clock.Now()) }

// arm makes the timer wait for the first item. One that is set too early just
// looks again.
func (d *delayed[T]) arm() {
	if len(d.heap) == 0 {
		d.disarm()
		return
	}
	first := d.heap[0].at
	if !d.armed.IsZero() && !first.Before(d.armed) {
		return
	}
	d.disarm()
	d.armed = first
	wait := max(first.Sub(d.clock.Now()), 0)
	if _, ok := d.clock.(clock.RealClock); ok {
		timer := time.AfterFunc(wait, func() { d.due(d) })
		d.stop = func() { timer.Stop() }
		return
	}
	timer, stopped := d.clock.NewTimer(wait), make(chan struct{})
	d.stop = func() {
		timer.Stop()
		close(stopped)
	}
	// The clock may have been moved since it was asked.
	late := !d.clock.Now().Before(first)
	go func() {
		if !late {
			select {
			case <-timer.C():
			case <-stopped:
				return
			}
		}
		d.due(d)
	}()
}

func (d *delayed[T]) disarm() {
	if d.stop != nil {
		d.stop()
	}
	d.stop, d.armed = nil, time.Time{}
}
