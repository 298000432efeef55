package probes

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
)

// Kind is the purpose of a probe.
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
	// Report is called for each result. verdict is nil unless a threshold was
	// reached that changes the state, or reached for the first time.
	Report func(result Result, message string, verdict *bool)
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
	var known *bool
	var last Result
	count := int32(0)
	for ctx.Err() == nil {
		result, message := r.Prober.Probe(ctx, r.Target, r.Probe)
		if ctx.Err() != nil {
			return
		}
		var verdict *bool
		if result != Errored {
			if good(result) != good(last) {
				count = 0
			}
			last, count = result, count+1
			if state := good(result); count >= r.threshold(result) && (known == nil || *known != state) {
				known, verdict = &state, &state
			}
		}
		r.Report(result, message, verdict)
		if r.Kind == Startup && verdict != nil && *verdict || !r.wait(ctx, period) {
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
