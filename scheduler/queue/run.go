package queue

import (
	"context"
	"time"

	fwk "k8s.io/kube-scheduler/framework"
)

// Run ends backoffs and retries pods that waited too long, until ctx is done.
// It sleeps until the next deadline and not in steps.
func (q *Queue) Run(ctx context.Context) {
	defer q.Close()
	for {
		wait, ok := q.flush(ctx)
		var timeout <-chan time.Time
		stop := func() bool { return true }
		if ok {
			t := q.cfg.Clock.NewTimer(wait)
			timeout, stop = t.C(), t.Stop
		}
		select {
		case <-ctx.Done():
			stop()
			return
		case <-q.kick:
			stop()
		case <-timeout:
		}
	}
}

func (q *Queue) wakeRun() {
	select {
	case q.kick <- struct{}{}:
	default:
	}
}

// flush moves what is due and returns how long until something else is, or
// false if nothing waits for time.
func (q *Queue) flush(ctx context.Context) (time.Duration, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.cfg.Clock.Now()
	next := time.Time{}
	for _, h := range []*podHeap{q.backoff, q.errorBackoff} {
		for h.len() > 0 && !h.peek().BackoffUntil.After(now) {
			p := h.pop()
			q.enter(ctx, p, Active, EventBackoffComplete)
		}
		if h.len() > 0 && (next.IsZero() || h.peek().BackoffUntil.Before(next)) {
			next = h.peek().BackoffUntil
		}
	}
	if end, ok := q.flushUnschedulable(ctx, now); ok && (next.IsZero() || end.Before(next)) {
		next = end
	}
	return next.Sub(now), !next.IsZero()
}

// flushUnschedulable retries pods that waited longer than MaxUnschedulable and
// returns when to look again.
func (q *Queue) flushUnschedulable(ctx context.Context, now time.Time) (time.Time, bool) {
	if !now.Before(q.nextFlush) {
		for _, p := range q.unschedulable {
			if now.Sub(p.Timestamp) >= q.cfg.MaxUnschedulable {
				q.leave(p)
				q.enter(ctx, p, q.placeFor(p, afterBackoff), fwk.ClusterEvent{CustomLabel: eventUnschedulableEnd}.Label())
			}
		}
		q.nextFlush = now.Add(flushInterval)
	}
	return q.nextFlush, len(q.unschedulable) > 0
}
