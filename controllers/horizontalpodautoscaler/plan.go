package horizontalpodautoscaler

import (
	"fmt"
	"math"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// Observed holds what a reconcile has read.
type Observed struct {
	Autoscaler *autoscalingv2.HorizontalPodAutoscaler
	// Scale is the target's; ScaleError is why it is not known.
	Scale      Scale
	ScaleError error
	// Pods are those that the scale's selector selects.
	Pods []*corev1.Pod
	// Rivals are other autoscalers of the same pods.
	Rivals []string
	// Readings are the values of the metrics, one for each of the autoscaler's.
	Readings []Reading
	Memory   Memory
}

// Scale is a scale subresource.
type Scale struct {
	Replicas, StatusReplicas int32
	// Selector is the text form of the selector; SelectorError is why it is none.
	Selector      string
	SelectorError error
}

// Reading holds the values of one metric.
type Reading struct {
	// Pods is a metric of pods, by name.
	Pods map[string]Sample
	// Values are those of another metric, in thousandths.
	Values []int64
	Err    error
	// Took is how long the reading took.
	Took time.Duration
}

// Plan holds the actions of a reconcile.
type Plan struct {
	// Replicas is the scale to set, nil to leave it, and Reason why.
	Replicas *int32
	Reason   string
	Events   []Event
	Status   autoscalingv2.HorizontalPodAutoscalerStatus
	Memory   Memory
	// Computed holds the result of each metric, and Failure the error of the
	// reconcile as a whole; both are for counting only.
	Computed []Computation
	Failure  error
}

// Computation is the result of a metric, in the words of upstream's labels.
type Computation struct {
	Type          autoscalingv2.MetricSourceType
	Action, Error string
}

// Event is an event to record.
type Event struct {
	Type, Reason, Message string
}

// plan decides how many replicas there should be.
func plan(o Observed, now time.Time) Plan {
	p := &planner{Observed: o, now: now}
	p.plan.Memory = o.Memory
	p.plan.Status = *o.Autoscaler.Status.DeepCopy()
	p.decide()
	return p.plan
}

// Rescaled returns the rest of the plan, after its scale was set, or was not.
func (p Plan) Rescaled(o Observed, err error, now time.Time) Plan {
	w := &planner{Observed: o, now: now, plan: p}
	n, current := *p.Replicas, o.Scale.Replicas
	if err != nil {
		w.plan.Failure = err
		w.say(corev1.EventTypeWarning, "FailedRescale", fmt.Sprintf("New size: %d; reason: %s; error: %v", n, p.Reason, err))
		w.set(autoscalingv2.AbleToScale, corev1.ConditionFalse, "FailedUpdateScale", fmt.Sprintf("the HPA controller was unable to update the target scale: %v", err))
		w.plan.Status.DesiredReplicas = o.Autoscaler.Status.DesiredReplicas
		return w.plan
	}
	w.set(autoscalingv2.AbleToScale, corev1.ConditionTrue, "SucceededRescale", fmt.Sprintf("the HPA controller was able to update the target scale to %d", n))
	w.say(corev1.EventTypeNormal, "SuccessfulRescale", fmt.Sprintf("New size: %d; reason: %s", n, p.Reason))
	if current > 0 && n == 0 && w.min() == 0 && hasOtherMetrics(o.Autoscaler) {
		w.set(autoscalingv2.ScaledToZero, corev1.ConditionTrue, "ScaledToZero", "the HPA controller scaled the workload to zero")
	} else {
		w.set(autoscalingv2.ScaledToZero, corev1.ConditionFalse, "NotScaledToZero", "the HPA controller did not scale the workload to zero")
	}
	if b := o.Autoscaler.Spec.Behavior; b != nil {
		m := &w.plan.Memory
		if n > current {
			m.Ups = remember(m.Ups, Recommendation{now, n - current}, longest(b))
		} else {
			m.Downs = remember(m.Downs, Recommendation{now, current - n}, longest(b))
		}
	}
	w.plan.Status.DesiredReplicas = n
	w.plan.Status.LastScaleTime = &metav1.Time{Time: now}
	return w.plan
}

// planner is a Plan in the making.
type planner struct {
	Observed
	now  time.Time
	plan Plan
}

func (p *planner) say(kind, reason, message string) {
	p.plan.Events = append(p.plan.Events, Event{kind, reason, message})
}

func (p *planner) set(t autoscalingv2.HorizontalPodAutoscalerConditionType, s corev1.ConditionStatus, reason, message string) {
	for i := range p.plan.Status.Conditions {
		c := &p.plan.Status.Conditions[i]
		if c.Type != t {
			continue
		}
		if c.Status != s {
			c.LastTransitionTime = metav1.NewTime(p.now)
		}
		c.Status, c.Reason, c.Message = s, reason, message
		return
	}
	p.plan.Status.Conditions = append(p.plan.Status.Conditions, autoscalingv2.HorizontalPodAutoscalerCondition{
		Type: t, Status: s, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(p.now),
	})
}

func (p *planner) min() int32 { return ptr.Deref(p.Autoscaler.Spec.MinReplicas, 1) }

func (p *planner) decide() {
	if err := p.ScaleError; err != nil {
		p.plan.Failure = err
		p.say(corev1.EventTypeWarning, "FailedGetScale", err.Error())
		p.set(autoscalingv2.AbleToScale, corev1.ConditionFalse, "FailedGetScale", fmt.Sprintf("the HPA controller was unable to get the target's current scale: %v", err))
		return
	}
	p.set(autoscalingv2.AbleToScale, corev1.ConditionTrue, "SucceededGetScale", "the HPA controller was able to get the target's current scale")
	current, spec := p.Scale.Replicas, &p.Autoscaler.Spec
	// From here on the status is of this look alone.
	p.plan.Status.CurrentReplicas, p.plan.Status.CurrentMetrics = current, nil
	p.plan.Status.ObservedGeneration = ptr.To(p.Autoscaler.Generation)
	if len(p.plan.Memory.Recommendations) == 0 {
		p.plan.Memory.Recommendations = []Recommendation{{p.now, current}}
	}
	desired := current
	switch {
	case current == 0 && !p.mayWake():
		p.set(autoscalingv2.ScalingActive, corev1.ConditionFalse, "ScalingDisabled", "scaling is disabled since the replica count of the target is zero")
	case current > spec.MaxReplicas:
		desired, p.plan.Reason = spec.MaxReplicas, "Current number of replicas above Spec.MaxReplicas"
	case current != 0 && current < p.min():
		desired, p.plan.Reason = p.min(), "Current number of replicas below Spec.MinReplicas"
	default:
		n, ok := p.byMetrics(current)
		if !ok {
			return
		}
		desired = n
	}
	p.plan.Status.DesiredReplicas = desired
	if desired != current {
		p.plan.Replicas = &desired
	}
}

// mayWake reports whether a target without replicas was scaled to zero here,
// and not by a user who wants it off.
func (p *planner) mayWake() bool {
	for _, c := range p.plan.Status.Conditions {
		if c.Type == autoscalingv2.ScaledToZero && c.Status == corev1.ConditionTrue {
			return p.min() != 0 || hasOtherMetrics(p.Autoscaler)
		}
	}
	return false
}

// hasOtherMetrics reports whether there is a metric to go by without pods.
func hasOtherMetrics(a *autoscalingv2.HorizontalPodAutoscaler) bool {
	for _, m := range a.Spec.Metrics {
		if m.Type == autoscalingv2.ObjectMetricSourceType || m.Type == autoscalingv2.ExternalMetricSourceType {
			return true
		}
	}
	return false
}

// byMetrics returns what the metrics ask for, within limits, or false when they
// cannot be gone by.
func (p *planner) byMetrics(current int32) (int32, bool) {
	want, metric, err := p.ask()
	p.plan.Failure = err
	if err != nil && want < 0 {
		p.say(corev1.EventTypeWarning, "FailedComputeMetricsReplicas", err.Error())
		return 0, false
	}
	if want <= 0 {
		want, metric = 0, ""
	}
	switch {
	case want > current:
		p.plan.Reason = metric + " above target"
	case want < current:
		p.plan.Reason = "All metrics below target"
	}
	desired := p.normalize(current, want)
	if current == 0 && desired < p.min() {
		desired = p.min()
		if p.plan.Reason == "" {
			p.plan.Reason = "Current number of replicas below Spec.MinReplicas"
		}
	}
	return desired, true
}

func (p *planner) normalize(current, want int32) int32 {
	b := p.Autoscaler.Spec.Behavior
	l := limits{min: p.min(), max: p.Autoscaler.Spec.MaxReplicas, current: current, now: p.now, memory: p.plan.Memory}
	up, down := windows(b)
	var stable outcome
	if b == nil {
		// Without behaviours only the way down is stabilised.
		stable = outcome{want, "ScaleDownStabilized", "recent recommendations were higher than current one, applying the highest recent recommendation"}
		for _, r := range l.memory.Recommendations {
			if !r.At.Before(p.now.Add(-down)) {
				stable.replicas = max(stable.replicas, r.Replicas)
			}
		}
	} else {
		stable = l.stabilize(want, up, down)
	}
	p.plan.Memory.Recommendations = remember(p.plan.Memory.Recommendations, Recommendation{p.now, want}, max(up, down))
	if stable.replicas != want {
		p.set(autoscalingv2.AbleToScale, corev1.ConditionTrue, stable.reason, stable.message)
	} else {
		p.set(autoscalingv2.AbleToScale, corev1.ConditionTrue, "ReadyForNewScale", "recommended size matches current size")
	}
	limited := corev1.ConditionFalse
	var out outcome
	if b == nil || b.ScaleUp == nil || b.ScaleDown == nil {
		out = l.withoutBehavior(stable.replicas)
	} else {
		out = l.withBehavior(stable.replicas, b)
	}
	if out.replicas != stable.replicas {
		limited = corev1.ConditionTrue
	}
	p.set(autoscalingv2.ScalingLimited, limited, out.reason, out.message)
	return out.replicas
}

// sumOf does not overflow.
func sumOf(values []int64) (sum int64) {
	for _, v := range values {
		if v > 0 && sum > math.MaxInt64-v {
			return math.MaxInt64
		}
		sum += v
	}
	return sum
}
