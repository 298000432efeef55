package endpointslice

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/recorders"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func TestReconcile(t *testing.T) {
	ctx := context.Background()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	svc := service()
	close := corev1.ServiceTrafficDistributionPreferClose
	svc.Spec.TrafficDistribution = &close
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{corev1.LabelTopologyZone: "z1"}}}
	foreign := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "foreign",
		Labels: map[string]string{discoveryv1.LabelServiceName: "web", discoveryv1.LabelManagedBy: "somebody"}}, AddressType: discoveryv1.AddressTypeIPv4}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(svc, node, foreign, pod(1, true), pod(2, false)).Build()
	r := New(controllers.Deps{Client: c, Clock: clocktesting.NewFakeClock(time.Unix(0, 0)), Recorder: recorders.Always(record.NewFakeRecorder(10))}, Config{})
	req := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(svc)}
	slices := func() []discoveryv1.EndpointSlice {
		t.Helper()
		if res, err := r.Reconcile(ctx, req); err != nil || res.RequeueAfter != 0 {
			t.Fatal(res, err)
		}
		var list discoveryv1.EndpointSliceList
		if err := c.List(ctx, &list, client.MatchingLabels{discoveryv1.LabelManagedBy: ManagedBy}); err != nil {
			t.Fatal(err)
		}
		return list.Items
	}
	got := slices()
	if len(got) != 1 || len(got[0].Endpoints) != 2 {
		t.Fatalf("slices %+v", got)
	}
	for _, e := range got[0].Endpoints {
		if hinted := e.Hints != nil && e.Hints.ForZones[0].Name == "z1"; hinted != *e.Conditions.Ready {
			t.Errorf("hints of %s: %v", e.TargetRef.Name, e.Hints)
		}
	}
	version := got[0].ResourceVersion
	if again := slices(); again[0].ResourceVersion != version {
		t.Error("written twice")
	}
	if err := c.Delete(ctx, pod(1, true)); err != nil {
		t.Fatal(err)
	}
	if got = slices(); len(got) != 1 || len(got[0].Endpoints) != 1 {
		t.Errorf("slices %+v", got)
	}
	// Not the controller's own write: a plan on a cache that is behind waits.
	ahead := got[0].DeepCopy()
	ahead.Generation += 5
	r.written.Update(ahead)
	if res, err := r.Reconcile(ctx, req); err != nil || res.RequeueAfter == 0 || !r.awaited(ahead) {
		t.Errorf("planned on a stale cache: %v %v", res, err)
	}
	if err := c.Delete(ctx, svc); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Reconcile(ctx, req); err != nil || r.awaited(ahead) {
		t.Errorf("a service that is gone is remembered: %v", err)
	}
}

// TestReconcileRefusedWrite refuses one of many slices: the others are written,
// and the next look writes what is missing.
func TestReconcileRefusedWrite(t *testing.T) {
	ctx := context.Background()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	const pods, each = 40, 4
	objects := []client.Object{service(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}}
	for i := range pods {
		objects = append(objects, pod(i+1, true))
	}
	refused := errors.New("refused")
	var creates atomic.Int32
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if creates.Add(1) == 2 {
				return refused
			}
			return c.Create(ctx, o, opts...)
		},
	}).Build()
	r := New(controllers.Deps{Client: c, Clock: clocktesting.NewFakeClock(time.Unix(0, 0)), Recorder: recorders.Always(record.NewFakeRecorder(10))}, Config{MaxEndpointsPerSlice: each})
	endpoints := func() (slices int, names map[string]bool) {
		t.Helper()
		var list discoveryv1.EndpointSliceList
		if err := c.List(ctx, &list); err != nil {
			t.Fatal(err)
		}
		names = map[string]bool{}
		for _, s := range list.Items {
			for _, e := range s.Endpoints {
				names[e.TargetRef.Name] = true
			}
		}
		return len(list.Items), names
	}
	req := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(objects[0])}
	if _, err := r.Reconcile(ctx, req); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	if n, names := endpoints(); n != pods/each-1 || len(names) != pods-each {
		t.Errorf("%d slices of %d endpoints beside one that was refused", n, len(names))
	}
	if _, err := r.Reconcile(ctx, req); err != nil {
		t.Error(err)
	}
	if n, names := endpoints(); n != pods/each || len(names) != pods {
		t.Errorf("%d slices of %d endpoints", n, len(names))
	}
}
