package tainteviction

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/recorders"
)

var epoch = time.Unix(10000, 0)

func TestDeadline(t *testing.T) {
	taint := func(key string, added time.Duration) corev1.Taint {
		at := metav1.NewTime(epoch.Add(added))
		return corev1.Taint{Key: key, Effect: corev1.TaintEffectNoExecute, TimeAdded: &at}
	}
	tolerate := func(key string, seconds *int64) corev1.Toleration {
		return corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: seconds}
	}
	for name, tc := range map[string]struct {
		taints  []corev1.Taint
		tol     []corev1.Toleration
		started time.Duration
		after   time.Duration
		never   bool
	}{
		"no taint":                     {never: true},
		"another effect":               {taints: []corev1.Taint{{Key: "a", Effect: corev1.TaintEffectNoSchedule}}, never: true},
		"not tolerated":                {taints: []corev1.Taint{taint("a", -time.Hour)}},
		"tolerated for ever":           {taints: []corev1.Taint{taint("a", 0)}, tol: []corev1.Toleration{tolerate("a", nil)}, never: true},
		"one of two tolerated":         {taints: []corev1.Taint{taint("a", 0), taint("b", 0)}, tol: []corev1.Toleration{tolerate("a", nil)}},
		"for a time":                   {taints: []corev1.Taint{taint("a", -10*time.Second)}, tol: []corev1.Toleration{tolerate("a", ptr.To[int64](300))}, after: 290 * time.Second},
		"the shortest counts":          {taints: []corev1.Taint{taint("a", 0), taint("b", 0)}, tol: []corev1.Toleration{tolerate("a", ptr.To[int64](300)), tolerate("b", ptr.To[int64](30))}, after: 30 * time.Second},
		"not before the pod":           {taints: []corev1.Taint{taint("a", -time.Hour)}, tol: []corev1.Toleration{tolerate("a", ptr.To[int64](300))}, started: -time.Minute, after: 240 * time.Second},
		"a time not known":             {taints: []corev1.Taint{{Key: "a", Effect: corev1.TaintEffectNoExecute}}, tol: []corev1.Toleration{tolerate("a", ptr.To[int64](5))}, after: 5 * time.Second},
		"negative is at once":          {taints: []corev1.Taint{taint("a", 0)}, tol: []corev1.Toleration{tolerate("a", ptr.To[int64](-5))}},
		"every key is tolerated":       {taints: []corev1.Taint{taint("a", 0)}, tol: []corev1.Toleration{{Operator: corev1.TolerationOpExists}}, never: true},
		"a value that is not the same": {taints: []corev1.Taint{taint("a", 0)}, tol: []corev1.Toleration{{Key: "a", Value: "x"}}},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: corev1.PodSpec{Tolerations: tc.tol}}
			if tc.started != 0 {
				pod.Status.StartTime = &metav1.Time{Time: epoch.Add(tc.started)}
			}
			at, never := deadline(pod, tc.taints, epoch)
			if never != tc.never || !never && !at.Equal(epoch.Add(tc.after)) {
				t.Errorf("deadline %s, never %t", at.Sub(epoch), never)
			}
		})
	}
}

func TestEvictAndCancel(t *testing.T) {
	ctx := context.Background()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	taint := corev1.Taint{Key: "gone", Effect: corev1.TaintEffectNoExecute}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Spec: corev1.NodeSpec{Taints: []corev1.Taint{taint}}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "u", Generation: 3, Finalizers: []string{"test/keep"}}, Spec: corev1.PodSpec{
		NodeName: "n", Tolerations: []corev1.Toleration{{Key: "gone", Operator: corev1.TolerationOpExists, TolerationSeconds: ptr.To[int64](60)}}}}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(node, pod).WithStatusSubresource(pod).
		WithIndex(&corev1.Pod{}, index.PodNode, index.ByNode).Build()
	clk, rec := clocktesting.NewFakeClock(epoch), record.NewFakeRecorder(10)
	r := New(controllers.Deps{Client: c, Clock: clk, Recorder: recorders.Always(rec)})
	key := client.ObjectKeyFromObject(pod)
	sync := func() {
		t.Helper()
		if _, err := r.Reconcile(ctx, reconcile.Request{NamespacedName: key}); err != nil {
			t.Fatal(err)
		}
	}
	setTaints := func(taints ...corev1.Taint) {
		t.Helper()
		node.Spec.Taints = taints
		if err := c.Update(ctx, node); err != nil {
			t.Fatal(err)
		}
	}
	sync()
	if at, ok := r.alarms.At(key); !ok || !at.Equal(epoch.Add(time.Minute)) {
		t.Fatalf("alarm at %s, %t", at, ok)
	}
	setTaints()
	sync()
	if _, ok := r.alarms.At(key); ok {
		t.Error("the alarm outlived the taint")
	}
	if e := <-rec.Events; e != "Normal TaintManagerEviction Cancelling deletion of Pod ns/p" {
		t.Errorf("event %s", e)
	}
	clk.Step(time.Hour)
	setTaints(taint)
	sync()
	clk.Step(59 * time.Second)
	sync()
	var got corev1.Pod
	if err := c.Get(ctx, key, &got); err != nil || got.DeletionTimestamp != nil {
		t.Fatalf("deleted early: %v", err)
	}
	clk.Step(time.Second)
	sync()
	if err := c.Get(ctx, key, &got); err != nil || got.DeletionTimestamp == nil {
		t.Fatalf("not deleted: %v", err)
	}
	cond := got.Status.Conditions[0]
	if cond.Type != corev1.DisruptionTarget || cond.Reason != "DeletionByTaintManager" || !strings.HasPrefix(cond.Message, "Taint manager:") || cond.ObservedGeneration != 3 {
		t.Errorf("condition %+v", cond)
	}
	if e := <-rec.Events; e != "Normal TaintManagerEviction Marking for deletion Pod ns/p" {
		t.Errorf("event %s", e)
	}
	got.Finalizers = nil
	if err := c.Update(ctx, &got); err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	sync()
	if len(r.seen) != 0 || len(rec.Events) != 0 {
		t.Errorf("remembers a pod that is gone: %v", r.seen)
	}
}

// A toleration's seconds may change in a pod that exists.
func TestChangedSecondsWake(t *testing.T) {
	with := func(seconds int64) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p"}, Spec: corev1.PodSpec{NodeName: "n",
			Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists, TolerationSeconds: &seconds}}}}
	}
	for name, tc := range map[string]struct {
		after *corev1.Pod
		wakes int
	}{"status alone": {with(60), 0}, "seconds": {with(30), 1}} {
		q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
		podHandler().Update(context.Background(), event.TypedUpdateEvent[*corev1.Pod]{ObjectOld: with(60), ObjectNew: tc.after}, q)
		if q.Len() != tc.wakes {
			t.Errorf("%s wakes %d", name, q.Len())
		}
		q.ShutDown()
	}
}
