package devicetainteviction

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/recorders"
)

func TestRulesEvictAndTell(t *testing.T) {
	ctx, clk, rec := t.Context(), clocktesting.NewFakeClock(start), record.NewFakeRecorder(100)
	now, later := using("now", "c"), using("later", "patient")
	u := rule("r", "p", "", taint("broken", resourcev1.DeviceTaintEffectNone, 0))
	c := fake.NewClientBuilder().WithScheme(apis.NewClientScheme()).
		WithObjects(now, later, u, claimed("c", "p", "x", []string{"now"}), claimed("patient", "p", "x", []string{"later"}, tolerated("broken", ptr.To(int64(60))))).
		WithStatusSubresource(&corev1.Pod{}, &resourcev1.DeviceTaintRule{}).Build()
	r := New(controllers.Deps{Client: c, Clock: clk, Recorder: recorders.Always(rec)})
	r.devices.replace(nil, slice("s", "p", 1, "x"))
	run := func(p *corev1.Pod) {
		t.Helper()
		if _, err := r.Reconcile(ctx, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(p)}); err != nil {
			t.Fatal(err)
		}
	}
	gone := func(p *corev1.Pod) bool {
		return apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(p), &corev1.Pod{}))
	}
	tells := func(words ...string) {
		t.Helper()
		if _, err := r.reconcileRule(ctx, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(u)}); err != nil {
			t.Fatal(err)
		}
		if err := c.Get(ctx, client.ObjectKeyFromObject(u), u); err != nil {
			t.Fatal(err)
		}
		for _, w := range words {
			if said := u.Status.Conditions[0]; !strings.Contains(said.Reason+" "+said.Message, w) {
				t.Errorf("the rule says %s: %s, without %q", said.Reason, said.Message, w)
			}
		}
	}
	said := func(want string) {
		t.Helper()
		select {
		case e := <-rec.Events:
			if !strings.Contains(e, want) {
				t.Errorf("event %q, want %s", e, want)
			}
		default:
			t.Errorf("no event %s", want)
		}
	}

	run(now)
	tells("NoEffect", "1 published device selected.", "2 allocated devices selected.", "2 pods would be evicted in 1 namespace if")
	if gone(now) {
		t.Fatal("a taint without effect evicts")
	}
	u.Spec.Taint.Effect, u.Generation = resourcev1.DeviceTaintEffectNoExecute, 2
	if err := c.Update(ctx, u); err != nil {
		t.Fatal(err)
	}
	tells("PodsPendingEviction", "2 pods need to be evicted in 1 namespace.")
	run(now)
	run(later)
	if !gone(now) || gone(later) {
		t.Fatalf("gone: %t and %t", gone(now), gone(later))
	}
	said("Normal DeviceTaintManagerEviction Marking for deletion")
	clk.Step(11 * time.Second)
	tells("PodsPendingEviction", "1 pod needs to be evicted in 1 namespace.", "1 pod evicted since starting the controller.")

	spared := u.DeepCopy()
	if err := c.Delete(ctx, spared); err != nil {
		t.Fatal(err)
	}
	run(later)
	said("Cancelling deletion")
	r.devices.replace(slice("s", "p", 1, "x"), slice("s", "p", 1, "x", taint("broken", resourcev1.DeviceTaintEffectNoExecute, 0)))
	clk.Step(50 * time.Second)
	run(later)
	if !gone(later) {
		t.Error("a pod outlives its toleration")
	}
}
