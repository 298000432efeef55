package podgc

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var now = time.Unix(1_700_000_000, 0)

func pod(name, node string, phase corev1.PodPhase, deleted bool) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns", CreationTimestamp: metav1.NewTime(now)},
		Spec:       corev1.PodSpec{NodeName: node},
		Status:     corev1.PodStatus{Phase: phase},
	}
	if deleted {
		p.DeletionTimestamp, p.Finalizers = &metav1.Time{Time: now}, []string{"test/keep"}
	}
	return p
}

func node(name string, isReady, out bool) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	status := corev1.ConditionUnknown
	if isReady {
		status = corev1.ConditionTrue
	}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}
	if out {
		n.Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeOutOfService, Effect: corev1.TaintEffectNoExecute}}
	}
	return n
}

func words(p Plan) []string {
	var out []string
	for _, v := range p.Victims {
		out = append(out, fmt.Sprintf("%s %s", v.Pod.Name, v.Reason))
	}
	slices.Sort(out)
	return out
}

func TestPlan(t *testing.T) {
	nodes := map[string]*corev1.Node{"ok": node("ok", true, false), "out": node("out", false, true), "back": node("back", true, true)}
	p := plan(Observed{Nodes: nodes, Pods: []*corev1.Pod{
		pod("running", "ok", corev1.PodRunning, false),
		pod("terminating", "ok", corev1.PodRunning, true),
		pod("pending", "", corev1.PodPending, false),
		pod("never-scheduled", "", corev1.PodPending, true),
		pod("stuck", "out", corev1.PodRunning, true),
		pod("not-deleted", "out", corev1.PodRunning, false),
		pod("node-is-back", "back", corev1.PodRunning, true),
		pod("orphan", "gone", corev1.PodRunning, false),
	}}, now)
	if got, want := words(p), []string{"never-scheduled unscheduled", "stuck out-of-service"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if p.RequeueAfter != quarantine || !p.Missing["gone"].Equal(now) {
		t.Errorf("requeue after %v, missing %v", p.RequeueAfter, p.Missing)
	}
}

func TestQuarantine(t *testing.T) {
	o := Observed{Pods: []*corev1.Pod{pod("a", "x", corev1.PodRunning, false), pod("b", "y", corev1.PodRunning, true)}}
	o.Missing = map[string]time.Time{"x": now.Add(-quarantine), "y": now.Add(-30 * time.Second), "returned": now.Add(-time.Hour)}
	p := plan(o, now)
	if got := words(p); !slices.Equal(got, []string{"a orphaned"}) || p.RequeueAfter != 10*time.Second {
		t.Errorf("got %v, requeue after %v", got, p.RequeueAfter)
	}
	if _, ok := p.Missing["returned"]; ok {
		t.Error("a node that no pod needs any more is still remembered")
	}
}

func TestThreshold(t *testing.T) {
	old := pod("old", "ok", corev1.PodSucceeded, false)
	old.CreationTimestamp = metav1.NewTime(now.Add(-time.Hour))
	evicted := pod("evicted", "ok", corev1.PodFailed, false)
	evicted.Status.Reason = "Evicted"
	o := Observed{
		Nodes: map[string]*corev1.Node{"ok": node("ok", true, false)},
		Pods:  []*corev1.Pod{pod("new", "ok", corev1.PodSucceeded, false), old, evicted, pod("running", "ok", corev1.PodRunning, false)},
	}
	for threshold, want := range map[int][]string{
		0: nil,
		3: nil,
		2: {"evicted terminated"},
		1: {"evicted terminated", "old terminated"},
	} {
		o.Threshold = threshold
		if got := words(plan(o, now)); !slices.Equal(got, want) {
			t.Errorf("threshold %d: got %v, want %v", threshold, got, want)
		}
	}
}
