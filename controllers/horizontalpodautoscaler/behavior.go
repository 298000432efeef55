package horizontalpodautoscaler

import (
	"math"
	"slices"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/utils/ptr"
)

const (
	// downscaleWindow is the stabilisation window for scaling down where an
	// autoscaler has none.
	downscaleWindow = 5 * time.Minute
	// Without behaviours a step doubles the replicas at most, or makes them four.
	upFactor, upMinimum = 2, 4
)

// Memory is the part of an autoscaler's past that its decisions depend on. Its
// slices are never written to once made.
type Memory struct {
	// Recommendations are the numbers of replicas that metrics asked for.
	Recommendations []Recommendation
	// Ups and Downs are the changes that were made, as positive numbers.
	Ups, Downs []Recommendation
}

// Recommendation is a number of replicas at a time.
type Recommendation struct {
	At       time.Time
	Replicas int32
}

// remember appends, and forgets what is older than keep.
func remember(all []Recommendation, r Recommendation, keep time.Duration) []Recommendation {
	out := slices.DeleteFunc(slices.Clone(all), func(o Recommendation) bool { return o.At.Before(r.At.Add(-keep)) })
	return append(out, r)
}

// limits normalise what metrics ask for.
type limits struct {
	min, max, current int32
	now               time.Time
	memory            Memory
}

// outcome is a number of replicas and why it is not another.
type outcome struct {
	replicas        int32
	reason, message string
}

// stabilize takes the most careful recommendation of the windows: the lowest of
// those for scaling up and the highest of those for scaling down.
func (l limits) stabilize(want int32, up, down time.Duration) outcome {
	lowest, highest := want, want
	for _, r := range l.memory.Recommendations {
		if r.At.After(l.now.Add(-up)) {
			lowest = min(lowest, r.Replicas)
		}
		if r.At.After(l.now.Add(-down)) {
			highest = max(highest, r.Replicas)
		}
	}
	out := outcome{replicas: min(max(l.current, lowest), highest)}
	if want >= l.current {
		out.reason, out.message = "ScaleUpStabilized", "recent recommendations were lower than current one, applying the lowest recent recommendation"
	} else {
		out.reason, out.message = "ScaleDownStabilized", "recent recommendations were higher than current one, applying the highest recent recommendation"
	}
	return out
}

// withoutBehavior bounds a step by the defaults of old.
func (l limits) withoutBehavior(want int32) outcome {
	fastest := max(upFactor*l.current, upMinimum)
	highest, reason, message := l.max, "TooManyReplicas", "the desired replica count is more than the maximum replica count"
	if l.max > fastest {
		highest, reason, message = fastest, "ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate"
	}
	switch {
	case want < l.min:
		return outcome{l.min, "TooFewReplicas", "the desired replica count is less than the minimum replica count"}
	case want > highest:
		return outcome{highest, reason, message}
	}
	return within(want)
}

func within(n int32) outcome {
	return outcome{n, "DesiredWithinRange", "the desired count is within the acceptable range"}
}

// withBehavior bounds a step by the policies.
func (l limits) withBehavior(want int32, b *autoscalingv2.HorizontalPodAutoscalerBehavior) outcome {
	switch {
	case want > l.current:
		fastest := max(l.bound(b.ScaleUp, true), l.current)
		highest, reason, message := l.max, "TooManyReplicas", "the desired replica count is more than the maximum replica count"
		if l.max > fastest {
			highest, reason, message = fastest, "ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate"
		}
		if want > highest {
			return outcome{highest, reason, message}
		}
	case want < l.current:
		fastest := min(l.bound(b.ScaleDown, false), l.current)
		lowest, reason, message := l.min, "TooFewReplicas", "the desired replica count is less than the minimum replica count"
		if l.min < fastest {
			lowest, reason, message = fastest, "ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate"
		}
		if want < lowest {
			return outcome{lowest, reason, message}
		}
	}
	return within(want)
}

// bound returns how far the policies of one direction let it go. Each counts
// from the number of replicas at the beginning of its period.
func (l limits) bound(rules *autoscalingv2.HPAScalingRules, up bool) int32 {
	choose := ptr.Deref(rules.SelectPolicy, autoscalingv2.MaxChangePolicySelect)
	if choose == autoscalingv2.DisabledPolicySelect {
		return l.current
	}
	// The greatest change is the highest number on the way up, the lowest down.
	highest := up == (choose != autoscalingv2.MinChangePolicySelect)
	result := int32(math.MaxInt32)
	if highest {
		result = math.MinInt32
	}
	for _, p := range rules.Policies {
		period := time.Duration(p.PeriodSeconds) * time.Second
		base := l.current - l.changed(l.memory.Ups, period) + l.changed(l.memory.Downs, period)
		if n := step(p, base, up); highest {
			result = max(result, n)
		} else {
			result = min(result, n)
		}
	}
	return result
}

func (l limits) changed(all []Recommendation, period time.Duration) (sum int32) {
	for _, r := range all {
		if r.At.After(l.now.Add(-period)) {
			sum += r.Replicas
		}
	}
	return sum
}

// step rounds up on the way up, lest one replica never becomes two.
func step(p autoscalingv2.HPAScalingPolicy, base int32, up bool) int32 {
	percent := p.Type == autoscalingv2.PercentScalingPolicy
	switch {
	case up && percent:
		return int32(math.Ceil(float64(base) * (1 + float64(p.Value)/100)))
	case up:
		return base + p.Value
	case percent:
		return int32(float64(base) * (1 - float64(p.Value)/100))
	default:
		return base - p.Value
	}
}

// windows returns the stabilisation windows.
func windows(b *autoscalingv2.HorizontalPodAutoscalerBehavior) (up, down time.Duration) {
	down = downscaleWindow
	if b == nil {
		return 0, down
	}
	if b.ScaleUp != nil {
		up = time.Duration(ptr.Deref(b.ScaleUp.StabilizationWindowSeconds, 0)) * time.Second
	}
	if b.ScaleDown != nil && b.ScaleDown.StabilizationWindowSeconds != nil {
		down = time.Duration(*b.ScaleDown.StabilizationWindowSeconds) * time.Second
	}
	return up, down
}

// longest returns the longest period of the policies of either direction.
func longest(b *autoscalingv2.HorizontalPodAutoscalerBehavior) (d time.Duration) {
	for _, rules := range []*autoscalingv2.HPAScalingRules{b.ScaleUp, b.ScaleDown} {
		if rules == nil {
			continue
		}
		for _, p := range rules.Policies {
			d = max(d, time.Duration(p.PeriodSeconds)*time.Second)
		}
	}
	return d
}
