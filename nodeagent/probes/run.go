package probes

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
)

// Kind says what a probe is for.
type Kind string

// The kinds, in the words of events.
const (
	Startup   Kind = "Startup"
	Liveness  Kind = "Liveness"
	Readiness Kind = "Readiness"
)

// Run is a probe under way.
type Run struct {
	Prober *Prober
	Clock  clock.Clock
	Kind   Kind
	Probe  *corev1.Probe
	Target Target
	// Started is when the container started.
	Started time.Time
	// Passing is the state to begin with: what earlier results said.
	Passing bool
	// Report is called for each result that counts. passing is the state by the
	// thresholds; changed tells whether it is new (always so for the first).
	Report func(result Result, message string, passing, changed bool)
}

// The pauses between early tries.
const firstEarly, lastEarly = 50 * time.Millisecond, time.Second

// Do probes until ctx is done.
func (r *Run) Do(ctx context.Context) {
	period := time.Duration(max(r.Probe.PeriodSeconds, 1)) * time.Second
	delay := r.Started.Add(time.Duration(r.Probe.InitialDelaySeconds) * time.Second).Sub(r.Clock.Now())
	if !r.wait(ctx, delay) {
		return
	}
	r.early(ctx, period)
	state, known := r.Passing, false
	var last Result
	count := int32(0)
	for ctx.Err() == nil {
		result, message := r.Prober.Probe(ctx, r.Target, r.Probe)
		if ctx.Err() != nil {
			return
		}
		if result != Errored {
			if good(result) != good(last) || count == 0 {
				count = 0
			}
			last = result
			count++
			changed := !known
			if threshold := r.threshold(result); count >= threshold {
				changed = changed || state != good(result)
				state = good(result)
			}
			known = true
			r.Report(result, message, state, changed)
			if r.Kind == Startup && state && good(result) {
				return
			}
		} else {
			r.Report(result, message, state, false)
		}
		if !r.wait(ctx, period) {
			return
		}
	}
}

// early tries a probe that fails because its container is still coming up, until
// it passes or a period is over.
func (r *Run) early(ctx context.Context, period time.Duration) {
	if r.Kind == Liveness || r.Probe.Exec != nil || r.Probe.InitialDelaySeconds > 0 {
		return
	}
	until := r.Started.Add(period)
	for pause := firstEarly; r.Clock.Now().Add(pause).Before(until); pause = min(2*pause, lastEarly) {
		if result, _ := r.Prober.Probe(ctx, r.Target, r.Probe); good(result) || !r.wait(ctx, pause) {
			return
		}
	}
}

func good(r Result) bool { return r == Success || r == Warning }

func (r *Run) threshold(result Result) int32 {
	if good(result) {
		return max(r.Probe.SuccessThreshold, 1)
	}
	return max(r.Probe.FailureThreshold, 1)
}

func (r *Run) wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := r.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	}
}
