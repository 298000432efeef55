package statefulset

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/recorders"
)

// bench is a reconciler on a fake API server whose pod events the test delivers.
type bench struct {
	t        *testing.T
	client   client.WithWatch
	recorder *record.FakeRecorder
	r        *Reconciler
	pods     handler.EventHandler
	queue    workqueue.TypedRateLimitingInterface[reconcile.Request]
	seen     map[types.UID]*corev1.Pod
	writes   int
	uid      int
}

func newBench(t *testing.T, objs ...client.Object) *bench {
	b := &bench{
		t: t, recorder: record.NewFakeRecorder(1000), seen: map[types.UID]*corev1.Pod{},
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]()),
	}
	t.Cleanup(b.queue.ShutDown)
	b.client = fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(objs...).
		WithStatusSubresource(&appsv1.StatefulSet{}).
		WithIndex(&corev1.Pod{}, index.Owner, index.ByOwner).WithIndex(&corev1.Pod{}, index.PodOrphan, index.ByOrphan).
		WithIndex(&appsv1.ControllerRevision{}, index.Owner, index.ByOwner).WithIndex(&appsv1.ControllerRevision{}, index.PodOrphan, index.ByOrphan).
		WithInterceptorFuncs(interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
				b.writes++
				b.uid++
				o.SetUID(types.UID(fmt.Sprintf("uid-%d", b.uid)))
				return c.Create(ctx, o, opts...)
			},
			SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
				b.writes++
				return c.SubResource(sub).Update(ctx, o, opts...)
			},
		}).Build()
	b.r = New(controllers.Deps{Client: b.client, Live: b.client, Clock: testingclock.NewFakeClock(time.Unix(1_700_000_000, 0)), Recorder: recorders.Always(b.recorder)})
	b.pods = b.r.PodHandler()
	return b
}

var key = types.NamespacedName{Namespace: "ns", Name: "web"}

func (b *bench) reconcile() {
	b.t.Helper()
	if _, err := b.r.Reconcile(b.t.Context(), reconcile.Request{NamespacedName: key}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) list() []corev1.Pod {
	b.t.Helper()
	var l corev1.PodList
	if err := b.client.List(b.t.Context(), &l); err != nil {
		b.t.Fatal(err)
	}
	return l.Items
}

// deliver sends the events of all that happened to pods since the last time.
func (b *bench) deliver() {
	now := map[types.UID]*corev1.Pod{}
	for _, p := range b.list() {
		now[p.UID] = &p
		if old := b.seen[p.UID]; old == nil {
			b.pods.Create(b.t.Context(), event.CreateEvent{Object: &p}, b.queue)
		} else {
			b.pods.Update(b.t.Context(), event.UpdateEvent{ObjectOld: old, ObjectNew: &p}, b.queue)
		}
	}
	for uid, p := range b.seen {
		if now[uid] == nil {
			b.pods.Delete(b.t.Context(), event.DeleteEvent{Object: p}, b.queue)
		}
	}
	b.seen = now
}

// run makes all pods ready, and reconciles until nothing is written.
func (b *bench) settle() {
	b.t.Helper()
	for range 50 {
		before := b.writes
		b.deliver()
		b.reconcile()
		for _, p := range b.list() {
			if p.Status.Phase == "" {
				p.Status.Phase = corev1.PodRunning
				p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(b.r.clock.Now())}}
				if err := b.client.Status().Update(b.t.Context(), &p); err != nil {
					b.t.Fatal(err)
				}
			}
		}
		if b.writes == before {
			return
		}
	}
	b.t.Fatal("it does not settle")
}

func (b *bench) set() *appsv1.StatefulSet {
	b.t.Helper()
	var s appsv1.StatefulSet
	if err := b.client.Get(b.t.Context(), key, &s); err != nil {
		b.t.Fatal(err)
	}
	return &s
}

func (b *bench) change(f func(*appsv1.StatefulSet)) {
	b.t.Helper()
	s := b.set()
	f(s)
	if err := b.client.Update(b.t.Context(), s); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) revisions() []appsv1.ControllerRevision {
	b.t.Helper()
	var l appsv1.ControllerRevisionList
	if err := b.client.List(b.t.Context(), &l); err != nil {
		b.t.Fatal(err)
	}
	return l.Items
}

func (b *bench) events() string {
	var out []string
	for len(b.recorder.Events) > 0 {
		out = append(out, <-b.recorder.Events)
	}
	return strings.Join(out, "\n")
}

func newSet(n int32) *appsv1.StatefulSet {
	s := newWorld(n).set
	s.ResourceVersion, s.Generation = "", 1
	s.Spec.RevisionHistoryLimit = ptr.To[int32](1)
	return s
}

func image(v string) func(*appsv1.StatefulSet) {
	return func(s *appsv1.StatefulSet) { s.Spec.Template.Spec.Containers[0].Image = v }
}

func TestCreatesClaimsAndPodsInOrderAndSaysSo(t *testing.T) {
	s := newSet(2)
	s.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}}
	b := newBench(t, s)
	b.reconcile()
	if n := len(b.list()); n != 1 {
		t.Fatalf("%d pods", n)
	}
	b.reconcile()
	if n := len(b.list()); n != 1 {
		t.Fatalf("%d pods, although the first was not seen", n)
	}
	b.settle()
	if n := len(b.list()); n != 2 {
		t.Fatalf("%d pods", n)
	}
	want := `Normal SuccessfulCreate Create Claim data-web-0 Pod web-0 in StatefulSet web success
Normal SuccessfulCreate Create Pod web-0 in StatefulSet web successful
Normal SuccessfulCreate Create Claim data-web-1 Pod web-1 in StatefulSet web success
Normal SuccessfulCreate Create Pod web-1 in StatefulSet web successful`
	if got := b.events(); got != want {
		t.Errorf("events:\n%s", got)
	}
	st := b.set().Status
	rev := b.revisions()[0].Name
	if st.Replicas != 2 || st.ReadyReplicas != 2 || st.AvailableReplicas != 2 || st.CurrentReplicas != 2 || st.UpdatedReplicas != 2 ||
		st.CurrentRevision != rev || st.UpdateRevision != rev || st.ObservedGeneration != 1 || ptr.Deref(st.CollisionCount, -1) != 0 {
		t.Errorf("status %+v", st)
	}
	before := b.writes
	b.reconcile()
	if b.writes != before {
		t.Error("a reconcile without news wrote something")
	}
}

func TestUpdatesRollsBackAndKeepsHistory(t *testing.T) {
	b := newBench(t, newSet(2))
	b.settle()
	first := b.set().Status.CurrentRevision
	for _, v := range []string{"v2", "v3", "v1"} {
		b.change(image(v))
		b.settle()
		st := b.set().Status
		if st.CurrentRevision != st.UpdateRevision || st.UpdatedReplicas != 2 {
			t.Fatalf("%s: %+v", v, st)
		}
		for _, p := range b.list() {
			if p.Spec.Containers[0].Image != v || revisionOf(&p) != st.UpdateRevision {
				t.Errorf("%s: pod %s has %s of %s", v, p.Name, p.Spec.Containers[0].Image, revisionOf(&p))
			}
		}
		if v == "v3" && len(b.revisions()) != 2 {
			t.Errorf("%d revisions with a limit of one old", len(b.revisions()))
		}
	}
	// The first was truncated, and comes again under the name that its data gives.
	if now := b.set().Status.CurrentRevision; now != first {
		t.Errorf("revision %s, was %s", now, first)
	}
}

func TestAdoptsAndReleases(t *testing.T) {
	pod := func(name string, labels map[string]string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns", UID: types.UID(name), Labels: labels}}
	}
	member, stranger, lost := pod("web-0", map[string]string{"app": "web"}), pod("other-0", map[string]string{"app": "web"}), pod("web-1", nil)
	lost.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(newSet(1), kind)}
	b := newBench(t, newSet(2), member, stranger, lost)
	b.deliver()
	b.reconcile()
	owned := map[string]bool{}
	for _, p := range b.list() {
		owned[p.Name] = metav1.GetControllerOf(&p) != nil
	}
	if !owned["web-0"] || owned["other-0"] || owned["web-1"] {
		t.Errorf("owned: %v", owned)
	}
}
