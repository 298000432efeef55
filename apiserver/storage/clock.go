package storage

import (
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

// grace is the time after the end of a clock at which its timers fire. It is long
// enough for a goroutine that read the clock just before to be asleep, see
// waitUntilFreshLocked of the watch cache, which is woken once.
const grace = 10 * time.Millisecond

// endingClock is the real clock until it is stopped; then it leaps over all that
// it promised to send After a while. Each consistent read starts a goroutine in
// the watch cache that waits for three seconds whatever happens; with this clock
// they end with their storage. So do the reads themselves, which see by the clock
// that they have waited long enough: nothing else wakes them any more.
type endingClock struct {
	clock.RealClock

	mu      sync.Mutex
	pending map[*time.Timer]promise
	ended   bool

	leap atomic.Int64 // how many nanoseconds it is ahead of the real one; set under mu
}

type promise struct {
	fired chan time.Time
	after time.Duration
}

func newEndingClock() *endingClock {
	return &endingClock{pending: map[*time.Timer]promise{}}
}

// Now implements clock.PassiveClock.
func (c *endingClock) Now() time.Time {
	return c.RealClock.Now().Add(time.Duration(c.leap.Load()))
}

// Since implements clock.PassiveClock.
func (c *endingClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// After implements clock.Clock.
func (c *endingClock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := promise{fired: make(chan time.Time, 1), after: d}
	if c.ended {
		c.leap.Add(int64(d))
		d = grace
	}
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if _, ok := c.pending[timer]; ok {
			delete(c.pending, timer)
			p.fired <- c.Now()
		}
	})
	c.pending[timer] = p
	return p.fired
}

// stop leaps over all that is pending, and from now on over everything.
func (c *endingClock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	for timer, p := range c.pending {
		c.leap.Store(max(c.leap.Load(), int64(p.after)))
		timer.Reset(grace)
	}
}
