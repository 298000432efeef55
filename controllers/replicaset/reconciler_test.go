package replicaset

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/recorders"
	"github.com/coracle-k8s/coracle/controllers/replicas"
)

// bench is a reconciler on a fake API server whose pod events the test delivers.
type bench struct {
	t        *testing.T
	client   client.WithWatch
	clock    *testingclock.FakeClock
	recorder *record.FakeRecorder
	r        *replicas.Reconciler
	pods     handler.EventHandler
	queue    workqueue.TypedRateLimitingInterface[reconcile.Request]
	seen     map[types.UID]*corev1.Pod

	refuse       error
	statusWrites atomic.Int32
	creates      atomic.Int32
}

func newBench(t *testing.T, objs ...client.Object) *bench {
	b := &bench{
		t: t, clock: testingclock.NewFakeClock(time.Unix(1_700_000_000, 0)), recorder: record.NewFakeRecorder(10000),
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]()),
		seen:  map[types.UID]*corev1.Pod{},
	}
	t.Cleanup(b.queue.ShutDown)
	b.client = fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(objs...).
		WithStatusSubresource(&appsv1.ReplicaSet{}).
		WithIndex(&corev1.Pod{}, index.Owner, index.ByOwner).WithIndex(&corev1.Pod{}, index.PodOrphan, index.ByOrphan).
		WithIndex(&appsv1.ReplicaSet{}, index.Owner, index.ByOwner).
		WithInterceptorFuncs(interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
				n := b.creates.Add(1)
				if b.refuse != nil {
					return b.refuse
				}
				o.SetUID(types.UID(fmt.Sprintf("uid-%d", n)))
				return c.Create(ctx, o, opts...)
			},
			SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
				b.statusWrites.Add(1)
				return c.SubResource(sub).Update(ctx, o, opts...)
			},
		}).Build()
	b.r = New(controllers.Deps{Client: b.client, Live: b.client, Clock: b.clock, Recorder: recorders.Always(b.recorder)})
	b.pods = b.r.PodHandler()
	return b
}

func newSet(n int32) *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "ns", UID: "set", Generation: 1},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: &n,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "a"}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "a"}}},
		},
	}
}

var key = types.NamespacedName{Namespace: "ns", Name: "web"}

func (b *bench) reconcile() (reconcile.Result, error) {
	return b.r.Reconcile(context.Background(), reconcile.Request{NamespacedName: key})
}

func (b *bench) mustReconcile() reconcile.Result {
	b.t.Helper()
	res, err := b.reconcile()
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

func (b *bench) list() []corev1.Pod {
	b.t.Helper()
	var l corev1.PodList
	if err := b.client.List(context.Background(), &l); err != nil {
		b.t.Fatal(err)
	}
	return l.Items
}

// deliver sends the events of all that happened to pods since the last time.
func (b *bench) deliver() {
	ctx, now := context.Background(), map[types.UID]*corev1.Pod{}
	for _, p := range b.list() {
		now[p.UID] = &p
		if old := b.seen[p.UID]; old == nil {
			b.pods.Create(ctx, event.CreateEvent{Object: &p}, b.queue)
		} else {
			b.pods.Update(ctx, event.UpdateEvent{ObjectOld: old, ObjectNew: &p}, b.queue)
		}
	}
	for uid, p := range b.seen {
		if now[uid] == nil {
			b.pods.Delete(ctx, event.DeleteEvent{Object: p}, b.queue)
		}
	}
	b.seen = now
}

func (b *bench) set() *appsv1.ReplicaSet {
	b.t.Helper()
	var s appsv1.ReplicaSet
	if err := b.client.Get(context.Background(), key, &s); err != nil {
		b.t.Fatal(err)
	}
	return &s
}

func (b *bench) scale(n int32) {
	b.t.Helper()
	s := b.set()
	s.Spec.Replicas = &n
	if err := b.client.Update(context.Background(), s); err != nil {
		b.t.Fatal(err)
	}
}

func TestCreatesOnceWhileTheCacheIsBehind(t *testing.T) {
	b := newBench(t, newSet(10))
	b.mustReconcile()
	if n := len(b.list()); n != 10 {
		t.Fatalf("%d pods", n)
	}
	b.scale(15)
	b.mustReconcile()
	if n := len(b.list()); n != 10 {
		t.Fatalf("%d pods, although no event of the first ones was delivered", n)
	}
	b.clock.Step(time.Second)
	b.deliver()
	if b.queue.Len() != 1 {
		t.Errorf("%d requests queued for ten events of one object", b.queue.Len())
	}
	b.mustReconcile()
	b.deliver()
	b.mustReconcile()
	if n := len(b.list()); n != 15 {
		t.Fatalf("%d pods", n)
	}
	if s := b.set().Status; s.Replicas != 15 || s.FullyLabeledReplicas != 15 || s.ReadyReplicas != 0 {
		t.Errorf("status %+v", s)
	}
	writes := b.statusWrites.Load()
	b.mustReconcile()
	if b.statusWrites.Load() != writes {
		t.Error("a reconcile without news wrote the status")
	}
}

func TestScalesDownAndReplaces(t *testing.T) {
	b := newBench(t, newSet(4))
	b.mustReconcile()
	b.deliver()
	b.scale(1)
	b.mustReconcile()
	if n := len(b.list()); n != 1 {
		t.Fatalf("%d pods", n)
	}
	b.scale(0)
	b.mustReconcile()
	if n := len(b.list()); n != 1 {
		t.Fatal("deleted more before the earlier deletions were seen")
	}
	b.deliver()
	b.scale(1)
	last := b.list()[0]
	if err := b.client.Delete(context.Background(), &last); err != nil {
		t.Fatal(err)
	}
	b.deliver()
	b.mustReconcile()
	if pods := b.list(); len(pods) != 1 || pods[0].UID == last.UID {
		t.Errorf("the deleted pod was not replaced: %v", pods)
	}
}

func TestARefusalIsTriedOnceAndReported(t *testing.T) {
	b := newBench(t, newSet(100))
	b.refuse = apierrors.NewForbidden(corev1.Resource("pods"), "", errors.New("exceeded quota: q"))
	if _, err := b.reconcile(); !apierrors.IsForbidden(err) {
		t.Fatalf("error %v", err)
	}
	if n := b.creates.Load(); n != 1 {
		t.Errorf("%d creations were tried", n)
	}
	c := b.set().Status.Conditions
	if len(c) != 1 || c[0].Type != appsv1.ReplicaSetReplicaFailure || c[0].Reason != "FailedCreate" {
		t.Errorf("conditions %v", c)
	}
	if e := <-b.recorder.Events; e != `Warning FailedCreate Error creating: pods is forbidden: exceeded quota: q` {
		t.Errorf("event %q", e)
	}
	b.refuse = nil
	b.mustReconcile()
	if n := len(b.list()); n != 100 {
		t.Errorf("%d pods once creation works; failed creations must not be waited for", n)
	}
}

func TestATerminatingNamespaceIsNoFailure(t *testing.T) {
	b := newBench(t, newSet(5))
	refuse := apierrors.NewForbidden(corev1.Resource("pods"), "", errors.New("terminating"))
	refuse.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	b.refuse = refuse
	b.mustReconcile()
	if len(b.recorder.Events) != 0 || len(b.set().Status.Conditions) != 0 {
		t.Error("it is reported")
	}
	if n := b.creates.Load(); n != 1 {
		t.Errorf("%d creations were tried", n)
	}
}

func TestAdoptsAndReleasesPods(t *testing.T) {
	orphan := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "orphan", Namespace: "ns", UID: "orphan", Labels: map[string]string{"app": "a"}}}
	b := newBench(t, newSet(2), orphan)
	b.deliver()
	b.mustReconcile()
	b.deliver()
	if n := len(b.list()); n != 2 {
		t.Fatalf("%d pods: the orphan does not count", n)
	}
	for _, p := range b.list() {
		if p.Name != "orphan" {
			p.Labels = map[string]string{"app": "other"}
			if err := b.client.Update(context.Background(), &p); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.deliver()
	b.mustReconcile()
	owned := 0
	for _, p := range b.list() {
		if metav1.GetControllerOf(&p) != nil {
			owned++
		}
	}
	if len(b.list()) != 3 || owned != 2 {
		t.Errorf("%d pods, %d owned; want the released one replaced", len(b.list()), owned)
	}
}

func TestMinReadySecondsIsWaitedFor(t *testing.T) {
	s := newSet(1)
	s.Spec.MinReadySeconds = 10
	b := newBench(t, s)
	b.mustReconcile()
	b.deliver()
	p := b.list()[0]
	p.Status.Phase = corev1.PodRunning
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(b.clock.Now())}}
	if err := b.client.Status().Update(context.Background(), &p); err != nil {
		t.Fatal(err)
	}
	b.deliver()
	if res := b.mustReconcile(); res.RequeueAfter != 10*time.Second {
		t.Errorf("requeued after %v", res.RequeueAfter)
	}
	if st := b.set().Status; st.ReadyReplicas != 1 || st.AvailableReplicas != 0 {
		t.Errorf("status %+v", st)
	}
	b.clock.Step(10 * time.Second)
	b.mustReconcile()
	if st := b.set().Status; st.AvailableReplicas != 1 {
		t.Errorf("status %+v", st)
	}
}

func TestAThousandPods(t *testing.T) {
	b := newBench(t, newSet(1000))
	b.mustReconcile()
	if n := len(b.list()); n != 1000 {
		t.Fatalf("%d pods", n)
	}
	b.deliver()
	b.mustReconcile()
	if w := b.statusWrites.Load(); w > 2 {
		t.Errorf("%d status writes", w)
	}
}
