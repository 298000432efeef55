package namespace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coracle-k8s/coracle/controllers"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/util/workqueue"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// store is a metadata API over named objects, some of which linger when deleted.
type store struct {
	mu      sync.Mutex
	objects map[schema.GroupVersionResource]map[string][]string // name -> finalizers
	deleted []string
	fail    map[schema.GroupVersionResource]error
}

func (s *store) Resource(gvr schema.GroupVersionResource) metadata.Getter {
	return getter{s: s, gvr: gvr}
}

type getter struct {
	metadata.Getter
	s   *store
	gvr schema.GroupVersionResource
}

func (g getter) Namespace(string) metadata.ResourceInterface { return g }

func (g getter) List(_ context.Context, o metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	out := &metav1.PartialObjectMetadataList{}
	for name, finalizers := range g.s.objects[g.gvr] {
		if o.Limit == 0 || int64(len(out.Items)) < o.Limit {
			out.Items = append(out.Items, metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, Finalizers: finalizers}})
		}
	}
	return out, nil
}

func (g getter) DeleteCollection(context.Context, metav1.DeleteOptions, metav1.ListOptions) error {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	if err := g.s.fail[g.gvr]; err != nil {
		return err
	}
	g.s.deleted = append(g.s.deleted, g.gvr.Resource)
	for name, finalizers := range g.s.objects[g.gvr] {
		if len(finalizers) == 0 {
			delete(g.s.objects[g.gvr], name)
		}
	}
	return nil
}

func (g getter) Delete(_ context.Context, name string, _ metav1.DeleteOptions, _ ...string) error {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	g.s.deleted = append(g.s.deleted, g.gvr.Resource+"/"+name)
	if len(g.s.objects[g.gvr][name]) == 0 {
		delete(g.s.objects[g.gvr], name)
	}
	return nil
}

type known struct {
	resources []Resource
	err       error
}

func (k known) Resources(context.Context) ([]Resource, error) { return k.resources, k.err }

var (
	configMaps = corev1.SchemeGroupVersion.WithResource("configmaps")
	widgets    = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}
	resources  = []Resource{{configMaps, true}, {pods, true}, {widgets, false}}
)

type bench struct {
	t         *testing.T
	store     *store
	client    client.Client
	r         *Reconciler
	clock     *testingclock.FakeClock
	finalized bool
	writes    int
}

func newBench(t *testing.T, d Discoverer, objs ...client.Object) *bench {
	b := &bench{t: t, clock: testingclock.NewFakeClock(now), store: &store{objects: map[schema.GroupVersionResource]map[string][]string{}}}
	ns := &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: "ns", UID: "u", Finalizers: []string{"test/keep"}, DeletionTimestamp: &metav1.Time{Time: now}},
		Spec:       corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{"kubernetes"}},
	}
	b.client = fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(ns).WithObjects(objs...).
		WithStatusSubresource(ns).
		WithInterceptorFuncs(interceptor.Funcs{
			SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
				if sub == "finalize" {
					b.finalized = !slices.Contains(o.(*corev1.Namespace).Spec.Finalizers, "kubernetes")
					return nil
				}
				b.writes++
				return c.SubResource(sub).Update(ctx, o, opts...)
			},
		}).Build()
	b.r = New(controllers.Deps{Client: b.client, Clock: b.clock}, Config{Metadata: b.store, Resources: d})
	return b
}

func (b *bench) reconcile() reconcile.Result {
	b.t.Helper()
	res, err := b.r.Reconcile(context.Background(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "ns"}})
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

func (b *bench) condition(t corev1.NamespaceConditionType) corev1.NamespaceCondition {
	b.t.Helper()
	var ns corev1.Namespace
	if err := b.client.Get(context.Background(), client.ObjectKey{Name: "ns"}, &ns); err != nil {
		b.t.Fatal(err)
	}
	for _, c := range ns.Status.Conditions {
		if c.Type == t {
			return c
		}
	}
	return corev1.NamespaceCondition{}
}

func TestAnEmptyNamespaceGoesInOneReconcile(t *testing.T) {
	b := newBench(t, known{resources: resources})
	b.store.objects[configMaps] = map[string][]string{"kube-root-ca.crt": nil}
	b.store.objects[widgets] = map[string][]string{"w1": nil, "w2": nil}
	res := b.reconcile()
	if !b.finalized || res.RequeueAfter != 0 || b.writes != 0 {
		t.Errorf("finalized %v, requeued after %v, %d status writes", b.finalized, res.RequeueAfter, b.writes)
	}
	slices.Sort(b.store.deleted)
	if want := []string{"configmaps", "widgets/w1", "widgets/w2"}; !slices.Equal(b.store.deleted, want) {
		t.Errorf("deleted %v, want %v: nothing else had anything in it", b.store.deleted, want)
	}
}

func pod(i int) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("p%d", i), Namespace: "ns", Finalizers: []string{"test/running"}}}
}

func TestPodsGoFirstAndTheirEndsWake(t *testing.T) {
	b := newBench(t, known{resources: resources}, pod(1), pod(2))
	b.store.objects[configMaps] = map[string][]string{"c": nil}
	b.reconcile()
	if !slices.Equal(b.store.deleted, []string{"pods"}) || b.finalized {
		t.Fatalf("deleted %v, finalized %v", b.store.deleted, b.finalized)
	}
	if c := b.condition(corev1.NamespaceContentRemaining); c.Message != "Some resources are remaining: pods. has 2 resource instances" {
		t.Errorf("%+v", c)
	}
	if c := b.condition(corev1.NamespaceFinalizersRemaining); c.Message != "Some content in the namespace has finalizers remaining: test/running in 2 resource instances" {
		t.Errorf("%+v", c)
	}

	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queue.ShutDown()
	b.clock.Step(time.Second)
	b.r.podHandler().Delete(context.Background(), event.DeleteEvent{Object: pod(1)}, queue)
	elsewhere := pod(3)
	elsewhere.Namespace = "other"
	b.r.podHandler().Delete(context.Background(), event.DeleteEvent{Object: elsewhere}, queue)
	if queue.Len() != 1 {
		t.Errorf("%d requests queued, want 1: only the terminating namespace is woken", queue.Len())
	}

	for i := range 2 {
		gone := pod(i + 1)
		if err := b.client.Get(context.Background(), client.ObjectKeyFromObject(gone), gone); err != nil {
			t.Fatal(err)
		}
		if err := b.client.Delete(context.Background(), gone); err != nil {
			t.Fatal(err)
		}
		gone.Finalizers = nil
		if err := b.client.Update(context.Background(), gone); client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
			t.Fatal(err)
		}
	}
	var left corev1.PodList
	if err := b.client.List(context.Background(), &left); err != nil {
		t.Fatal(err)
	}
	for i := range left.Items {
		left.Items[i].Finalizers = nil
		if err := b.client.Update(context.Background(), &left.Items[i]); err != nil {
			t.Fatal(err)
		}
	}
	b.reconcile()
	if !b.finalized || !slices.Equal(b.store.deleted, []string{"pods", "configmaps"}) {
		t.Errorf("finalized %v, deleted %v", b.finalized, b.store.deleted)
	}
}

func TestPodsThatOnlyTheServerKnowsHoldTheNamespace(t *testing.T) {
	b := newBench(t, known{resources: resources})
	b.store.objects[pods] = map[string][]string{"unseen": {"test/running"}}
	b.reconcile()
	if b.finalized {
		t.Error("finalized with a pod in it that the cache did not show")
	}
}

func TestFinalizersHoldTheNamespace(t *testing.T) {
	b := newBench(t, known{resources: resources})
	b.store.objects[widgets] = map[string][]string{"w": {"example.com/hold"}}
	var waits []time.Duration
	for range 3 {
		waits = append(waits, b.reconcile().RequeueAfter)
	}
	if !slices.Equal(waits, []time.Duration{25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond}) {
		t.Errorf("waits %v", waits)
	}
	if b.writes != 1 {
		t.Errorf("%d status writes for one piece of news", b.writes)
	}
	b.store.objects[widgets]["w"] = nil
	b.reconcile()
	if !b.finalized {
		t.Error("not finalized after the finalizer went")
	}
}

func TestWhatCannotBeDiscoveredHoldsTheNamespace(t *testing.T) {
	b := newBench(t, known{resources: resources, err: errors.New("metrics.k8s.io is down")})
	b.store.objects[configMaps] = map[string][]string{"c": nil}
	if res := b.reconcile(); b.finalized || res.RequeueAfter == 0 {
		t.Errorf("finalized %v, requeued after %v", b.finalized, res.RequeueAfter)
	}
	if len(b.store.objects[configMaps]) != 0 {
		t.Error("what is known was not deleted")
	}
	if c := b.condition(corev1.NamespaceDeletionDiscoveryFailure); c.Status != corev1.ConditionTrue {
		t.Errorf("%+v", c)
	}
}

func TestFailedDeletionsAreReported(t *testing.T) {
	b := newBench(t, known{resources: resources})
	b.store.objects[configMaps] = map[string][]string{"c": nil}
	b.store.objects[widgets] = map[string][]string{"w": nil}
	b.store.fail = map[schema.GroupVersionResource]error{configMaps: errors.New("webhook refuses")}
	b.reconcile()
	c := b.condition(corev1.NamespaceDeletionContentFailure)
	if b.finalized || c.Message != "Failed to delete all resource types, 1 remaining: deleting all configmaps: webhook refuses" {
		t.Errorf("finalized %v, %+v", b.finalized, c)
	}
	if len(b.store.objects[widgets]) != 0 {
		t.Error("one failure kept the rest from being deleted")
	}
}
