package podgc

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/controllers"
)

func TestOrphansFailAndGoAfterTheQuarantine(t *testing.T) {
	ctx, clk := context.Background(), testingclock.NewFakeClock(now)
	orphan := pod("orphan", "gone", corev1.PodRunning, false)
	// A finalizer keeps the pod, so that its last state can be seen.
	orphan.Finalizers = []string{"test/keep"}
	c := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(orphan, pod("fine", "ok", corev1.PodRunning, false), node("ok", true, false)).
		WithStatusSubresource(&corev1.Pod{}).Build()
	r := New(controllers.Deps{Client: c, Live: c, Clock: clk}, DefaultThreshold)
	res, err := r.Reconcile(ctx, everything)
	if err != nil || res.RequeueAfter != quarantine {
		t.Fatalf("%v, %v", res, err)
	}
	get := func(name string) *corev1.Pod {
		var p corev1.Pod
		if err := c.Get(ctx, client.ObjectKey{Namespace: "ns", Name: name}, &p); err != nil {
			t.Fatal(err)
		}
		return &p
	}
	if get("orphan").DeletionTimestamp != nil {
		t.Fatal("deleted before the end of the quarantine")
	}
	clk.Step(quarantine)
	if _, err := r.Reconcile(ctx, everything); err != nil {
		t.Fatal(err)
	}
	got := get("orphan")
	cond := podapi.GetCondition(&got.Status, corev1.DisruptionTarget)
	if got.DeletionTimestamp == nil || got.Status.Phase != corev1.PodFailed || cond == nil || cond.Reason != "DeletionByPodGC" || cond.Message != "PodGC: node no longer exists" {
		t.Errorf("deleted %v, phase %s, condition %v", got.DeletionTimestamp, got.Status.Phase, cond)
	}
	if get("fine").DeletionTimestamp != nil {
		t.Error("a pod on a living node was deleted")
	}
}

// liveNodes has nodes that the cache has not.
type liveNodes struct{ client.Reader }

func (liveNodes) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return nil
}

func TestTheServerIsAskedBeforeAPodIsAnOrphan(t *testing.T) {
	ctx, clk := context.Background(), testingclock.NewFakeClock(now)
	c := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(pod("p", "new", corev1.PodRunning, false)).Build()
	r := New(controllers.Deps{Client: c, Live: c, Clock: clk}, 0)
	r.live = liveNodes{}
	for range 2 {
		if _, err := r.Reconcile(ctx, everything); err != nil {
			t.Fatal(err)
		}
		clk.Step(time.Minute)
	}
	if err := c.Get(ctx, client.ObjectKey{Namespace: "ns", Name: "p"}, &corev1.Pod{}); apierrors.IsNotFound(err) {
		t.Error("the pod of a node that exists was deleted")
	}
}
