// Package ondemand has the state of work that begins when it is needed first, and a notification
// of changes. Both are safe for concurrent use.
//
// The API of this package is not stable: see docs/api.md.
package ondemand

import (
	"context"
	"sync"
	"time"
)

// Work is work that does not begin before it is demanded, and is complete at some time after.
// Make it with New.
type Work struct {
	demand, complete     sync.Once
	demanded, completion chan struct{}
}

// New returns work that was not demanded yet.
func New() *Work { return &Work{demanded: make(chan struct{}), completion: make(chan struct{})} }

// Demand has the work begin if it has not yet, and does not wait.
func (w *Work) Demand() { w.demand.Do(func() { close(w.demanded) }) }

// Demanded is closed by Demand.
func (w *Work) Demanded() <-chan struct{} { return w.demanded }

// IsDemanded reports whether Demand was called.
func (w *Work) IsDemanded() bool { return isClosed(w.demanded) }

// Complete marks the work as complete. Further calls do nothing.
func (w *Work) Complete() { w.complete.Do(func() { close(w.completion) }) }

// IsComplete reports whether Complete was called.
func (w *Work) IsComplete() bool { return isClosed(w.completion) }

// Pending reports whether the work was demanded and is not complete.
func (w *Work) Pending() bool { return w.IsDemanded() && !w.IsComplete() }

// Await demands the work and waits until it is complete, or returns ctx's error.
func (w *Work) Await(ctx context.Context) error {
	w.Demand()
	select {
	case <-w.completion:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Changes notifies of changes of some state. The zero Changes is ready for use.
type Changes struct {
	mu   sync.Mutex
	next chan struct{}
}

// Announce closes the channels that Next returned. Call it after the state has changed.
func (c *Changes) Announce() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next != nil {
		close(c.next)
		c.next = nil
	}
}

// Next returns a channel that is closed at the next change. Call it before the state is read, or
// a change may be missed.
func (c *Changes) Next() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == nil {
		c.next = make(chan struct{})
	}
	return c.next
}

// Wait waits until holds returns true, which it calls again after each change, or for limit at
// most, or until ctx is done.
func (c *Changes) Wait(ctx context.Context, limit time.Duration, holds func() bool) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		changed := c.Next()
		if holds() {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}
