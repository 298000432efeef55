package servicepods

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
)

func TestCompare(t *testing.T) {
	ready := func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	ip := func(p *corev1.Pod) { p.Status.PodIP, p.Status.PodIPs = "10.0.0.1", []corev1.PodIP{{IP: "10.0.0.1"}} }
	deleted := func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }
	relabelled := func(p *corev1.Pod) { p.Labels = map[string]string{"a": "b"} }
	failed := func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }
	noise := func(p *corev1.Pod) { p.Annotations = map[string]string{"x": "y"}; p.ResourceVersion = "2" }
	type mods []func(*corev1.Pod)
	for i, tc := range []struct {
		before, after mods
		want          Change
	}{
		{nil, mods{noise}, Change{}},
		{nil, mods{ip}, Change{Endpoint: true}},
		{mods{ip}, mods{ip, ready}, Change{Endpoint: true}},
		{mods{ip, ready}, mods{ip}, Change{Endpoint: true, Leaves: true}},
		{mods{ip, ready}, mods{ip, ready, deleted}, Change{Endpoint: true, Leaves: true}},
		{mods{ip, ready, deleted}, mods{ip, ready, deleted, noise}, Change{}},
		{mods{ip, ready, deleted}, mods{ip, deleted}, Change{Endpoint: true}},
		{mods{ip, ready}, mods{ip, ready, failed}, Change{Endpoint: true, Leaves: true}},
		{mods{ip, ready}, mods{ip, ready, relabelled}, Change{Labels: true}},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			before, after := &corev1.Pod{}, &corev1.Pod{}
			for _, m := range tc.before {
				m(before)
			}
			for _, m := range tc.after {
				m(after)
			}
			if got := Compare(before, after); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestSelects(t *testing.T) {
	svc := &corev1.Service{}
	if Selects(svc, map[string]string{}) {
		t.Error("a service without selector selects")
	}
	svc.Spec.Selector = map[string]string{"a": "b"}
	if !Selects(svc, map[string]string{"a": "b", "c": "d"}) || Selects(svc, map[string]string{"a": "x"}) || Selects(svc, nil) {
		t.Error("selector misread")
	}
	svc.Spec.Type = corev1.ServiceTypeExternalName
	if Selects(svc, map[string]string{"a": "b"}) {
		t.Error("an external name selects")
	}
}

// A burst of n events, one each 2 ms, must lead to far fewer than n looks, and
// the last event must be seen within one pause.
func TestPacerBoundsBursts(t *testing.T) {
	clk := clocktesting.NewFakePassiveClock(time.Unix(0, 0))
	p := NewPacer(clk)
	key := types.NamespacedName{Name: "svc"}
	var due time.Time
	looks := 0
	start := clk.Now()
	for i := range 1000 {
		clk.SetTime(start.Add(time.Duration(i) * 2 * time.Millisecond))
		if due.IsZero() {
			due = clk.Now().Add(p.Delay(key, false))
		}
		if !due.After(clk.Now()) {
			looks++
			p.Looked(key, i)
			due = time.Time{}
		}
	}
	if looks > 100 {
		t.Errorf("%d looks for 1,000 events", looks)
	}
	if d := p.Delay(key, false); d > 120*time.Millisecond {
		t.Errorf("last event waits %s", d)
	}
	if urgent, calm := p.Delay(key, true), p.Delay(key, false); urgent > calm {
		t.Errorf("urgent %s, calm %s", urgent, calm)
	}
	p.Forget(key)
	if p.Delay(key, false) != 0 {
		t.Error("a forgotten service waits")
	}
}
