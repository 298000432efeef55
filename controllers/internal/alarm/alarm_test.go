package alarm

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"
)

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		c := New[string](clock.RealClock{})
		c.Set("late", start.Add(3*time.Second))
		c.Set("cancelled", start.Add(time.Second))
		var rang []string
		var when []time.Duration
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.Run(ctx, func(k string) {
				rang = append(rang, k)
				when = append(when, time.Since(start))
				if k == "early" {
					c.Set("again", start.Add(4*time.Second))
				}
			})
		}()
		synctest.Wait()
		c.Set("early", start.Add(2*time.Second))
		if !c.Cancel("cancelled") || c.Cancel("cancelled") {
			t.Error("cancel misreported")
		}
		c.Set("moved", start.Add(time.Second))
		c.Set("moved", start.Add(5*time.Second))
		if at, ok := c.At("moved"); !ok || !at.Equal(start.Add(5*time.Second)) {
			t.Errorf("moved goes off at %s, %t", at, ok)
		}
		c.Set("past", start.Add(-time.Second))
		time.Sleep(10 * time.Second) //nolint:forbidigo // in a bubble of synctest
		synctest.Wait()
		cancel()
		<-done
		if want := []string{"past", "early", "late", "again", "moved"}; !slices.Equal(rang, want) {
			t.Errorf("rang %v, want %v", rang, want)
		}
		if want := []time.Duration{0, 2 * time.Second, 3 * time.Second, 4 * time.Second, 5 * time.Second}; !slices.Equal(when, want) {
			t.Errorf("at %v, want %v", when, want)
		}
	})
}
