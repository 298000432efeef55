package storage

import (
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// endingClock is the real clock, but what it promised to send After a while it
// sends at once when it is stopped. Each consistent read starts a goroutine in
// the watch cache that waits for three seconds whatever happens; with this
// clock they end with their storage.
type endingClock struct {
	clock.RealClock

	mu      sync.Mutex
	pending map[*time.Timer]chan time.Time
	ended   bool
}

func newEndingClock() *endingClock {
	return &endingClock{pending: map[*time.Timer]chan time.Time{}}
}

// After implements clock.Clock.
func (c *endingClock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	fired := make(chan time.Time, 1)
	if c.ended {
		fired <- c.Now()
		return fired
	}
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.fire(timer)
	})
	c.pending[timer] = fired
	return fired
}

func (c *endingClock) fire(timer *time.Timer) {
	if fired, ok := c.pending[timer]; ok {
		delete(c.pending, timer)
		fired <- c.Now()
	}
}

// stop fires all that is pending, and from now on everything at once.
func (c *endingClock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for timer := range c.pending {
		timer.Stop()
		c.fire(timer)
	}
}
