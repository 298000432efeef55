package ondemand

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func TestWork(t *testing.T) {
	g := NewWithT(t)
	w := New()
	g.Expect(w.IsDemanded() || w.Pending()).To(BeFalse(), "no caller needed it")
	ended, end := context.WithCancel(t.Context())
	end()
	g.Expect(w.Await(ended)).To(MatchError(context.Canceled))
	g.Expect(w.IsDemanded() && w.Pending()).To(BeTrue(), "one has waited")
	g.Expect(w.Demanded()).To(BeClosed())
	w.Demand()

	got := make(chan error)
	go func() { got <- w.Await(t.Context()) }()
	w.Complete()
	w.Complete()
	g.Expect(<-got).To(Succeed())
	g.Expect(w.IsComplete()).To(BeTrue())
	g.Expect(w.Pending()).To(BeFalse())
}

func TestChanges(t *testing.T) {
	g := NewWithT(t)
	var c Changes
	c.Announce() // to none
	first := c.Next()
	g.Expect(c.Next()).To(Equal(first))
	g.Expect(first).NotTo(BeClosed())
	c.Announce()
	g.Expect(first).To(BeClosed())
	g.Expect(c.Next()).NotTo(BeClosed())

	var n atomic.Int32
	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		c.Wait(t.Context(), time.Minute, func() bool { return n.Load() == 3 })
	}()
	for range 3 {
		n.Add(1)
		c.Announce()
	}
	g.Eventually(waiting).Should(BeClosed())

	began := time.Now()
	c.Wait(t.Context(), time.Millisecond, func() bool { return false })
	ended, end := context.WithCancel(t.Context())
	end()
	c.Wait(ended, time.Minute, func() bool { return false })
	g.Expect(time.Since(began)).To(BeNumerically("<", 30*time.Second), "neither waits for a minute")
}
