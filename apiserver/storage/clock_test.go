package storage

import (
	"testing"
	"time"
)

func TestEndingClock(t *testing.T) {
	c := newEndingClock()
	soon, late := c.After(time.Millisecond), c.After(time.Hour)
	<-soon
	select {
	case <-late:
		t.Fatal("an hour passed in a millisecond")
	default:
	}
	c.stop()
	<-late
	<-c.After(time.Hour)
	if len(c.pending) != 0 {
		t.Errorf("%d timers are left", len(c.pending))
	}
}
