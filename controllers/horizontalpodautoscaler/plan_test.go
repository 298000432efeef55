package horizontalpodautoscaler

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

var now = time.Unix(1_700_000_000, 0).UTC()

func pod(i int) *corev1.Pod {
	started := metav1.NewTime(now.Add(-time.Hour))
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(i)},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")},
		}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, StartTime: &started, Conditions: []corev1.PodCondition{{
			Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: started,
		}}},
	}
}

// cpu returns an autoscaler for 50 % of CPU, n pods and what each uses in
// percent; a negative usage is none.
func cpu(usages ...int) Observed {
	o := Observed{
		Autoscaler: &autoscalingv2.HorizontalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "ns", Generation: 1},
			Spec: autoscalingv2.HorizontalPodAutoscalerSpec{MinReplicas: ptr.To[int32](1), MaxReplicas: 100, Metrics: []autoscalingv2.MetricSpec{{
				Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
					Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: ptr.To[int32](50)},
				},
			}}},
		},
		Scale:    Scale{Replicas: int32(len(usages)), StatusReplicas: int32(len(usages)), Selector: "app=a"},
		Readings: []Reading{{Pods: map[string]Sample{}}},
		// Without a past, the current number would be what was recommended last.
		Memory: Memory{Recommendations: []Recommendation{{At: now.Add(-time.Hour)}}},
	}
	for i, u := range usages {
		o.Pods = append(o.Pods, pod(i))
		if u >= 0 {
			o.Readings[0].Pods[fmt.Sprint(i)] = Sample{At: now, Window: time.Minute, Value: int64(u) * 10}
		}
	}
	return o
}

func condition(p Plan, t autoscalingv2.HorizontalPodAutoscalerConditionType) string {
	for _, c := range p.Status.Conditions {
		if c.Type == t {
			return fmt.Sprintf("%s %s", c.Status, c.Reason)
		}
	}
	return ""
}

func with(o Observed, change func(*Observed)) Observed {
	change(&o)
	return o
}

func other(t autoscalingv2.MetricSourceType, target autoscalingv2.MetricTarget, values ...int64) func(*Observed) {
	return func(o *Observed) {
		spec := autoscalingv2.MetricSpec{Type: t}
		id := autoscalingv2.MetricIdentifier{Name: "m"}
		if t == autoscalingv2.ObjectMetricSourceType {
			spec.Object = &autoscalingv2.ObjectMetricSource{Metric: id, Target: target, DescribedObject: autoscalingv2.CrossVersionObjectReference{Kind: "Service", Name: "s"}}
		} else {
			spec.External = &autoscalingv2.ExternalMetricSource{Metric: id, Target: target}
		}
		o.Autoscaler.Spec.Metrics = append(o.Autoscaler.Spec.Metrics, spec)
		o.Readings = append(o.Readings, Reading{Values: values})
	}
}

func TestPlan(t *testing.T) {
	only := func(f func(*Observed)) func(*Observed) {
		return func(o *Observed) {
			o.Autoscaler.Spec.Metrics, o.Readings = nil, nil
			f(o)
		}
	}
	value := func(n int64) autoscalingv2.MetricTarget {
		return autoscalingv2.MetricTarget{Type: autoscalingv2.ValueMetricType, Value: resource.NewMilliQuantity(n, resource.DecimalSI)}
	}
	each := func(n int64) autoscalingv2.MetricTarget {
		return autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: resource.NewMilliQuantity(n, resource.DecimalSI)}
	}
	const up, down, ready = "True ReadyForNewScale", "All metrics below target", "False DesiredWithinRange"
	for _, tc := range []struct {
		name    string
		o       Observed
		want    int32 // -1: leave it
		reason  string
		limited string
		active  string
	}{
		{"as wanted", cpu(50, 50), -1, "", ready, "True ValidMetricFound"},
		{"within tolerance", cpu(54, 54), -1, "", ready, "True ValidMetricFound"},
		{"twice the target", cpu(100, 100), 4, "cpu resource utilization (percentage of request) above target", ready, "True ValidMetricFound"},
		{"half the target", cpu(25, 25, 25, 25), 2, down, ready, "True ValidMetricFound"},
		{"at most double", cpu(500, 500, 500), 6, "cpu resource utilization (percentage of request) above target", "True ScaleUpLimit", "True ValidMetricFound"},
		{"at most the maximum", with(cpu(500, 500), func(o *Observed) { o.Autoscaler.Spec.MaxReplicas = 3 }), 3, "cpu resource utilization (percentage of request) above target", "True TooManyReplicas", "True ValidMetricFound"},
		{"at least the minimum", with(cpu(1, 1, 1), func(o *Observed) { o.Autoscaler.Spec.MinReplicas = ptr.To[int32](2) }), 2, down, "True TooFewReplicas", "True ValidMetricFound"},
		{"above the maximum", with(cpu(50, 50, 50), func(o *Observed) { o.Autoscaler.Spec.MaxReplicas = 2 }), 2, "Current number of replicas above Spec.MaxReplicas", "", ""},
		{"below the minimum", with(cpu(50), func(o *Observed) { o.Autoscaler.Spec.MinReplicas = ptr.To[int32](2) }), 2, "Current number of replicas below Spec.MinReplicas", "", ""},
		{"off", with(cpu(), func(*Observed) {}), -1, "", "", "False ScalingDisabled"},
		{"a pod without metrics, on the way up, is idle", cpu(90, 90, -1), 4, "cpu resource utilization (percentage of request) above target", ready, "True ValidMetricFound"},
		{"a pod without metrics, on the way down, is busy", cpu(10, 10, -1), -1, "", ready, "True ValidMetricFound"},
		{"a pod that starts does not count", with(cpu(100, 100, 1000), func(o *Observed) { o.Pods[2].Status.Phase = corev1.PodPending }), 4, "cpu resource utilization (percentage of request) above target", ready, "True ValidMetricFound"},
		{"no metrics", with(cpu(50), func(o *Observed) { o.Readings[0] = Reading{Err: errors.New("boom")} }), -1, "", "", "False FailedGetResourceMetric"},
		{"one of two fails: not down", with(cpu(10, 10), func(o *Observed) {
			other(autoscalingv2.ExternalMetricSourceType, value(1))(o)
			o.Readings[1].Err = errors.New("boom")
		}), -1, "", "", "False FailedGetExternalMetric"},
		{"one of two fails: up", with(cpu(100, 100), func(o *Observed) {
			other(autoscalingv2.ExternalMetricSourceType, value(1))(o)
			o.Readings[1].Err = errors.New("boom")
		}), 4, "cpu resource utilization (percentage of request) above target", ready, "True ValidMetricFound"},
		{"the greatest counts", with(cpu(100, 100), other(autoscalingv2.ObjectMetricSourceType, value(1000), 1500)), 4, "cpu resource utilization (percentage of request) above target", ready, "True ValidMetricFound"},
		{"an object's metric", with(cpu(0, 0), only(other(autoscalingv2.ObjectMetricSourceType, value(1000), 1500))), 3, "Service metric m above target", ready, "True ValidMetricFound"},
		{"an external metric, summed", with(cpu(0, 0), only(other(autoscalingv2.ExternalMetricSourceType, each(1000), 1500, 1500))), 3, "external metric m(nil) above target", ready, "True ValidMetricFound"},
		{"no selector", with(cpu(50), func(o *Observed) { o.Scale.Selector = "" }), -1, "", "", "False InvalidSelector"},
		{"another's pods", with(cpu(50), func(o *Observed) { o.Rivals = []string{"ns/a", "ns/b"} }), -1, "", "", "False AmbiguousSelector"},
		{"no scale", with(cpu(50), func(o *Observed) { o.ScaleError = errors.New("boom") }), -1, "", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := plan(tc.o, now)
			if got := ptr.Deref(p.Replicas, -1); got != tc.want || p.Reason != tc.reason {
				t.Errorf("%d replicas because %q; %v", got, p.Reason, p.Events)
			}
			if got := condition(p, autoscalingv2.ScalingLimited); got != tc.limited {
				t.Errorf("limited: %s", got)
			}
			if got := condition(p, autoscalingv2.ScalingActive); got != tc.active {
				t.Errorf("active: %s", got)
			}
		})
	}
}

func TestMessagesAreUpstreams(t *testing.T) {
	p := plan(with(cpu(50), func(o *Observed) { o.Readings[0] = Reading{Err: errors.New("boom")} }), now)
	var got []string
	for _, e := range p.Events {
		got = append(got, e.Reason+": "+e.Message)
	}
	want := "FailedGetResourceMetric: failed to get cpu utilization: unable to get metrics for resource cpu: boom\n" +
		"FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: " +
		"failed to get cpu utilization: unable to get metrics for resource cpu: boom"
	if strings.Join(got, "\n") != want {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	o := cpu(100, 100)
	p = plan(o, now)
	done := p.Rescaled(o, nil, now)
	if e := done.Events[0]; e.Reason != "SuccessfulRescale" || e.Message != "New size: 4; reason: cpu resource utilization (percentage of request) above target" {
		t.Errorf("%+v", e)
	}
	if s := done.Status; s.DesiredReplicas != 4 || s.CurrentReplicas != 2 || s.LastScaleTime == nil || *s.CurrentMetrics[0].Resource.Current.AverageUtilization != 100 {
		t.Errorf("%+v", s)
	}
	if failed := p.Rescaled(o, errors.New("boom"), now); condition(failed, autoscalingv2.AbleToScale) != "False FailedUpdateScale" || failed.Events[0].Reason != "FailedRescale" || failed.Status.DesiredReplicas != 0 {
		t.Errorf("%+v", failed)
	}
}

// TestStatusIsOfThisLook: an earlier look's metrics do not stay in the status.
func TestStatusIsOfThisLook(t *testing.T) {
	o := with(cpu(50, 50), func(o *Observed) {
		o.Autoscaler.Status.CurrentMetrics = []autoscalingv2.MetricStatus{{Type: autoscalingv2.PodsMetricSourceType}}
		o.Autoscaler.Spec.MaxReplicas = 1
	})
	if s := plan(o, now).Status; s.CurrentMetrics != nil || s.CurrentReplicas != 2 || s.DesiredReplicas != 1 {
		t.Errorf("%+v", s)
	}
	o.Autoscaler.Spec.MaxReplicas, o.Scale.Selector = 10, ""
	if s := plan(o, now).Status; s.CurrentMetrics != nil || ptr.Deref(s.ObservedGeneration, 0) != 1 {
		t.Errorf("%+v", s)
	}
}

// TestDownscalingIsStabilised: what was needed five minutes ago is kept for as
// long.
func TestDownscalingIsStabilised(t *testing.T) {
	o := cpu(50, 50, 50, 50)
	p := plan(o, now)
	low := cpu(10, 10, 10, 10)
	low.Memory = p.Memory
	p = plan(low, now.Add(299*time.Second))
	if p.Replicas != nil || condition(p, autoscalingv2.AbleToScale) != "True ScaleDownStabilized" {
		t.Errorf("%v, %s", p.Replicas, condition(p, autoscalingv2.AbleToScale))
	}
	low.Memory = p.Memory
	if p = plan(low, now.Add(301*time.Second)); ptr.Deref(p.Replicas, -1) != 1 {
		t.Errorf("%v", p.Replicas)
	}
}

func rules(window int32, choose autoscalingv2.ScalingPolicySelect, policies ...autoscalingv2.HPAScalingPolicy) *autoscalingv2.HPAScalingRules {
	return &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: &window, SelectPolicy: &choose, Policies: policies}
}

func TestBehaviors(t *testing.T) {
	pods := autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PodsScalingPolicy, Value: 2, PeriodSeconds: 60}
	percent := autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PercentScalingPolicy, Value: 50, PeriodSeconds: 60}
	const most, least, off = autoscalingv2.MaxChangePolicySelect, autoscalingv2.MinChangePolicySelect, autoscalingv2.DisabledPolicySelect
	earlier := func(n int32) []Recommendation { return []Recommendation{{now.Add(-30 * time.Second), n}} }
	for _, tc := range []struct {
		name    string
		choose  autoscalingv2.ScalingPolicySelect
		usage   int
		memory  Memory
		want    int32
		limited string
	}{
		{"up by the greatest", most, 500, Memory{}, 15, "True ScaleUpLimit"},
		{"up by the least", least, 500, Memory{}, 12, "True ScaleUpLimit"},
		{"up is off", off, 500, Memory{}, -1, "True ScaleUpLimit"},
		{"up counts from the period's begin", most, 500, Memory{Ups: earlier(4)}, -1, "True ScaleUpLimit"},
		{"down by the greatest", most, 1, Memory{}, 5, "True ScaleDownLimit"},
		{"down by the least", least, 1, Memory{}, 8, "True ScaleDownLimit"},
		{"down is off", off, 1, Memory{}, -1, "True ScaleDownLimit"},
		{"down counts from the period's begin", most, 1, Memory{Downs: earlier(5)}, 7, "True ScaleDownLimit"},
	} {
		usages := make([]int, 10)
		for i := range usages {
			usages[i] = tc.usage
		}
		o := cpu(usages...)
		o.Autoscaler.Spec.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: rules(0, tc.choose, pods, percent), ScaleDown: rules(0, tc.choose, pods, percent)}
		o.Memory = tc.memory
		p := plan(o, now)
		if got := ptr.Deref(p.Replicas, -1); got != tc.want || condition(p, autoscalingv2.ScalingLimited) != tc.limited {
			t.Errorf("%s: %d, %s", tc.name, got, condition(p, autoscalingv2.ScalingLimited))
		}
	}
}

// TestStabilizationAgainstOracle: the result is the number nearest to the
// current one that no recommendation of the windows speaks against.
func TestStabilizationAgainstOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 3000 {
		l := limits{current: rng.Int32N(10), now: now}
		for range rng.IntN(5) {
			l.memory.Recommendations = append(l.memory.Recommendations, Recommendation{now.Add(-time.Duration(rng.IntN(100)) * time.Second), rng.Int32N(10)})
		}
		want, up, down := rng.Int32N(10), time.Duration(rng.IntN(100))*time.Second, time.Duration(rng.IntN(100))*time.Second
		inWindow := func(d time.Duration) []int32 {
			all := []int32{want}
			for _, r := range l.memory.Recommendations {
				if now.Sub(r.At) < d {
					all = append(all, r.Replicas)
				}
			}
			return all
		}
		oracle := l.current
		for lower := true; lower; { // all for going up agree on more
			for _, r := range inWindow(up) {
				lower = lower && r > oracle
			}
			if lower {
				oracle++
			}
		}
		for higher := true; higher; {
			for _, r := range inWindow(down) {
				higher = higher && r < oracle
			}
			if higher {
				oracle--
			}
		}
		if got := l.stabilize(want, up, down).replicas; got != oracle {
			t.Fatalf("%+v wants %d, windows %v and %v: %d, oracle %d", l, want, up, down, got, oracle)
		}
	}
}

func TestScaleToZeroAndBack(t *testing.T) {
	target := autoscalingv2.MetricTarget{Type: autoscalingv2.ValueMetricType, Value: resource.NewQuantity(1, resource.DecimalSI)}
	o := cpu(0)
	o.Autoscaler.Spec.MinReplicas = ptr.To[int32](0)
	o.Autoscaler.Spec.Metrics, o.Readings = nil, nil
	other(autoscalingv2.ExternalMetricSourceType, target, 0)(&o)
	o.Memory.Recommendations = []Recommendation{{now.Add(-time.Hour), 1}}
	p := plan(o, now)
	if ptr.Deref(p.Replicas, -1) != 0 {
		t.Fatalf("%+v", p)
	}
	p = p.Rescaled(o, nil, now)
	if condition(p, autoscalingv2.ScaledToZero) != "True ScaledToZero" {
		t.Fatalf("%+v", p.Status.Conditions)
	}
	o.Autoscaler.Status, o.Memory, o.Pods, o.Scale.Replicas = p.Status, p.Memory, nil, 0
	o.Readings[0].Values = []int64{2500}
	if p = plan(o, now.Add(time.Minute)); ptr.Deref(p.Replicas, -1) != 3 {
		t.Errorf("%+v", p)
	}
}
