package storage

import (
	"sync"
	"testing"
	"time"
)

func TestEndingClock(t *testing.T) {
	c := newEndingClock()
	begun := c.Now()
	soon, late := c.After(time.Millisecond), c.After(time.Hour)
	<-soon
	select {
	case <-late:
		t.Fatal("an hour passed in a millisecond")
	default:
	}
	if passed := c.Since(begun); passed > time.Minute {
		t.Fatalf("%v passed in a millisecond", passed)
	}
	c.stop()
	<-late
	if passed := c.Since(begun); passed < time.Hour {
		t.Errorf("the hour is over, but the clock says that %v passed", passed)
	}
	again := c.Now()
	<-c.After(time.Hour)
	if passed := c.Since(again); passed < time.Hour {
		t.Errorf("the next hour is over, but the clock says that %v passed", passed)
	}
	c.stop()
	if len(c.pending) != 0 {
		t.Errorf("%d timers are left", len(c.pending))
	}
}

// A sleeper like the watch cache, woken once by the clock, wakes up for good
// whether it began before the end of the clock or after it.
func TestEndingClockWakesForGood(t *testing.T) {
	c := newEndingClock()
	var mu sync.RWMutex
	cond := sync.NewCond(mu.RLocker())
	var readers sync.WaitGroup
	read := func() {
		mu.RLock()
		defer mu.RUnlock()
		begun := c.Now()
		go func() {
			<-c.After(time.Hour)
			cond.Broadcast()
		}()
		for c.Since(begun) < time.Hour {
			cond.Wait()
		}
	}
	for i := range 100 {
		if i == 50 {
			c.stop()
		}
		readers.Go(read)
	}
	done := make(chan struct{})
	go func() {
		readers.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("readers sleep on")
	}
}
