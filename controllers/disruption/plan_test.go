package disruption

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

var now = time.Unix(1_700_000_000, 0).UTC()

func pod(name string, owner types.UID, ready bool) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if owner != "" {
		p.OwnerReferences = []metav1.OwnerReference{{UID: owner, Controller: ptr.To(true)}}
	}
	if ready {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	return p
}

func budget(minAvailable, maxUnavailable string) *policyv1.PodDisruptionBudget {
	b := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "b", Namespace: "ns", Generation: 2}}
	if minAvailable != "" {
		b.Spec.MinAvailable = ptr.To(intstr.Parse(minAvailable))
	}
	if maxUnavailable != "" {
		b.Spec.MaxUnavailable = ptr.To(intstr.Parse(maxUnavailable))
	}
	return b
}

func TestPlan(t *testing.T) {
	three := []*corev1.Pod{pod("a", "x", true), pod("b", "x", true), pod("c", "x", false)}
	scales := map[types.UID]Scale{"x": {"x", 3}, "y": {"d", 10}, "z": {"d", 10}}
	gone := pod("g", "x", true)
	gone.DeletionTimestamp = ptr.To(metav1.NewTime(now))
	for _, tc := range []struct {
		name                       string
		budget                     *policyv1.PodDisruptionBudget
		pods                       []*corev1.Pod
		expected, desired, healthy int32
		allowed                    int32
		events                     string
	}{
		{"min as a number", budget("1", ""), three, 3, 1, 2, 1, ""},
		{"min counts pods, not scales", budget("1", ""), []*corev1.Pod{pod("a", "", true)}, 1, 1, 1, 0, ""},
		{"min in percent, rounded up", budget("34%", ""), three, 3, 2, 2, 0, ""},
		{"max as a number", budget("", "2"), three, 3, 1, 2, 1, ""},
		{"max in percent, rounded up", budget("", "34%"), three, 3, 1, 2, 1, ""},
		{"max beyond the scale", budget("", "7"), three, 3, 0, 2, 2, ""},
		{"two sets of one deployment", budget("", "1"), []*corev1.Pod{pod("a", "y", true), pod("b", "z", true)}, 10, 9, 2, 0, ""},
		{"one that goes is not healthy", budget("1", ""), append([]*corev1.Pod{gone}, three...), 4, 1, 2, 1, ""},
		{"no pods", budget("", "1"), nil, 0, 0, 0, 0, "NoPods"},
		{"without owner", budget("", "1"), append([]*corev1.Pod{pod("u", "", true)}, three...), 3, 2, 3, 1, "UnmanagedPods"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := plan(Observed{Budget: tc.budget, Pods: tc.pods, Scales: scales}, now)
			s := p.Status
			if s.ExpectedPods != tc.expected || s.DesiredHealthy != tc.desired || s.CurrentHealthy != tc.healthy || s.DisruptionsAllowed != tc.allowed || s.ObservedGeneration != 2 {
				t.Errorf("status %+v", s)
			}
			var reasons []string
			for _, e := range p.Events {
				reasons = append(reasons, e.Reason)
			}
			if strings.Join(reasons, " ") != tc.events {
				t.Errorf("events %v", p.Events)
			}
			c := meta.FindStatusCondition(s.Conditions, policyv1.DisruptionAllowedCondition)
			if (c.Status == metav1.ConditionTrue) != (tc.allowed > 0) || (c.Reason == policyv1.SufficientPodsReason) != (tc.allowed > 0) || c.ObservedGeneration != 2 {
				t.Errorf("condition %+v", c)
			}
		})
	}
}

func TestFailuresForbidDisruptions(t *testing.T) {
	b := budget("", "1")
	b.Status = policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: 3, CurrentHealthy: 4, ObservedGeneration: 1}
	for _, o := range []Observed{
		{Budget: b, Pods: []*corev1.Pod{pod("a", "x", true)}, Failure: errors.New("found no controllers for pod \"a\"")},
		{Budget: b, Pods: []*corev1.Pod{pod("a", "x", true)}},
	} {
		p := plan(o, now)
		c := meta.FindStatusCondition(p.Status.Conditions, policyv1.DisruptionAllowedCondition)
		if p.Status.DisruptionsAllowed != 0 || p.Status.CurrentHealthy != 4 || c.Reason != policyv1.SyncFailedReason || c.Message != `found no controllers for pod "a"` || p.Failure == nil {
			t.Errorf("%+v", p.Status)
		}
		if len(p.Events) != 1 || p.Events[0].Reason != "CalculateExpectedPodCountFailed" {
			t.Errorf("%+v", p.Events)
		}
	}
}

func TestGrantedEvictionsAreWaitedFor(t *testing.T) {
	b := budget("1", "")
	b.Status.DisruptedPods = map[string]metav1.Time{
		"a": metav1.NewTime(now.Add(-time.Minute)), "b": metav1.NewTime(now.Add(-2 * time.Minute)),
		"c": metav1.NewTime(now), "unknown": metav1.NewTime(now),
	}
	c := pod("c", "x", true)
	c.DeletionTimestamp = ptr.To(metav1.NewTime(now))
	p := plan(Observed{Budget: b, Pods: []*corev1.Pod{pod("a", "x", true), pod("b", "x", true), c, pod("d", "x", true)}}, now)
	if len(p.Status.DisruptedPods) != 1 || p.Status.CurrentHealthy != 2 || p.RequeueAfter != time.Minute {
		t.Errorf("%+v, again after %v", p.Status, p.RequeueAfter)
	}
	if len(p.Overdue) != 1 || p.Overdue[0].Name != "b" {
		t.Errorf("overdue %v", p.Overdue)
	}
}

// TestNeverTooFewAreLeft lets evictions take all that is allowed, in random
// states: what must be healthy then still is.
func TestNeverTooFewAreLeft(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		scale := int32(rng.IntN(12))
		var pods []*corev1.Pod
		for i := range rng.IntN(14) {
			pods = append(pods, pod(fmt.Sprint(i), "x", rng.IntN(3) > 0))
		}
		amount := []string{fmt.Sprint(rng.IntN(12)), fmt.Sprintf("%d%%", rng.IntN(101))}[rng.IntN(2)]
		b := budget(amount, "")
		if rng.IntN(2) == 0 {
			b = budget("", amount)
		}
		s := plan(Observed{Budget: b, Pods: pods, Scales: map[types.UID]Scale{"x": {"x", scale}}}, now).Status
		if s.DisruptionsAllowed > 0 && s.CurrentHealthy-s.DisruptionsAllowed < s.DesiredHealthy {
			t.Fatalf("%+v", s)
		}
	}
}

// TestAllowedAgainstOracle counts: pods are taken one by one as long as what the
// budget asks for is still there, in whole pods and without any division.
func TestAllowedAgainstOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for range 3000 {
		scale, amount, percent, max := rng.IntN(15), rng.IntN(15), rng.IntN(2) == 0, rng.IntN(2) == 0
		if percent {
			amount = rng.IntN(101)
		}
		var pods []*corev1.Pod
		ready := 0
		granted := map[string]metav1.Time{}
		for i := range rng.IntN(15) {
			p := pod(fmt.Sprint(i), "x", rng.IntN(4) > 0)
			counts := podapi.IsReady(p)
			switch rng.IntN(8) {
			case 0: // going
				p.DeletionTimestamp, counts = ptr.To(metav1.NewTime(now)), false
			case 1: // about to
				granted[p.Name], counts = metav1.NewTime(now.Add(-time.Minute)), false
			case 2: // was to, but did not
				granted[p.Name] = metav1.NewTime(now.Add(-3 * time.Minute))
			}
			if pods = append(pods, p); counts {
				ready++
			}
		}
		text := fmt.Sprint(amount)
		if percent {
			text += "%"
		}
		b := budget(text, "")
		if max {
			b = budget("", text)
		}
		b.Status.DisruptedPods = granted
		expected := scale
		if len(pods) == 0 {
			expected = 0 // without pods their controller is unknown
		}
		if !max && !percent {
			expected = len(pods)
		}
		enough := func(left int) bool {
			switch unit := map[bool]int{true: 100, false: 1}[percent]; {
			case max && percent: // so many of a hundred may be missing, and a part of a pod is a pod
				return (expected-left-1)*unit < amount*expected || left >= expected
			case max:
				return expected-left <= amount
			case percent:
				return left*unit >= amount*expected
			default:
				return left >= amount
			}
		}
		want := 0
		for expected > 0 && want < ready && enough(ready-want-1) {
			want++
		}
		s := plan(Observed{Budget: b, Pods: pods, Scales: map[types.UID]Scale{"x": {"x", int32(scale)}}}, now).Status
		if int(s.DisruptionsAllowed) != want {
			t.Fatalf("%s (max %v) of %d pods of %d, %d ready: %d, oracle %d", text, max, len(pods), scale, ready, s.DisruptionsAllowed, want)
		}
		c := meta.FindStatusCondition(s.Conditions, policyv1.DisruptionAllowedCondition)
		if (c.Status == metav1.ConditionTrue) != (want > 0) || (c.Reason == policyv1.SufficientPodsReason) != (want > 0) {
			t.Fatalf("%d allowed, but %+v", want, c)
		}
	}
}

func TestStaleIn(t *testing.T) {
	target := func(change func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI", LastTransitionTime: metav1.NewTime(now.Add(-30 * time.Second)),
		}}}}
		change(p)
		return p
	}
	for _, tc := range []struct {
		name   string
		pod    *corev1.Pod
		in     time.Duration
		target bool
	}{
		{"none", &corev1.Pod{}, 0, false},
		{"fresh", target(func(*corev1.Pod) {}), 90 * time.Second, true},
		{"stale", target(func(p *corev1.Pod) { p.Status.Conditions[0].LastTransitionTime = metav1.NewTime(now.Add(-time.Hour)) }), 0, true},
		{"taken back", target(func(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionFalse }), 0, false},
		{"by the kubelet", target(func(p *corev1.Pod) { p.Status.Conditions[0].Reason = corev1.PodReasonTerminationByKubelet }), 0, false},
		{"going", target(func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: now} }), 0, false},
		{"finished", target(func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), 0, false},
	} {
		if in, is := StaleIn(tc.pod, now); in != tc.in || is != tc.target {
			t.Errorf("%s: %v, %v", tc.name, in, is)
		}
	}
}
