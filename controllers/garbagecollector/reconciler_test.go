package garbagecollector

import (
	"context"
	"fmt"
	"testing"

	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/recorders"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// fixture is a collector whose informer is the test: tell delivers an object as
// it is on the server now.
type fixture struct {
	t *testing.T
	c client.Client
	r *Reconciler
}

func newFixture(t *testing.T, objects ...client.Object) *fixture {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, metav1.AddMetaToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(gvkConfigMap, meta.RESTScopeNamespace)
	c := fake.NewClientBuilder().WithScheme(scheme).WithRESTMapper(mapper).WithObjects(objects...).Build()
	r := New(controllers.Deps{Client: c, Live: c, Recorder: recorders.Always(record.NewFakeRecorder(100))}, Config{})
	r.queue = workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[work]())
	t.Cleanup(r.queue.ShutDown)
	return &fixture{t: t, c: c, r: r}
}

func configMap(name string, owners ...*corev1.ConfigMap) *corev1.ConfigMap {
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID("uid-" + name)}}
	for _, o := range owners {
		block := true
		cm.OwnerReferences = append(cm.OwnerReferences, metav1.OwnerReference{
			APIVersion: "v1", Kind: "ConfigMap", Name: o.Name, UID: o.UID, BlockOwnerDeletion: &block,
		})
	}
	return cm
}

func (f *fixture) get(name string) *corev1.ConfigMap {
	f.t.Helper()
	var cm corev1.ConfigMap
	err := f.c.Get(context.Background(), types.NamespacedName{Namespace: "ns", Name: name}, &cm)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return &cm
}

var gvkConfigMap = corev1.SchemeGroupVersion.WithKind("ConfigMap")

func (f *fixture) tell(names ...string) {
	f.t.Helper()
	for _, name := range names {
		if cm := f.get(name); cm != nil {
			f.r.observe(gvkConfigMap, cm)
		} else {
			f.r.gone(gvkConfigMap, configMap(name))
		}
	}
}

// settle works the queue off, and delivers all objects again after each step.
func (f *fixture) settle(names ...string) {
	f.t.Helper()
	for range 50 {
		f.tell(names...)
		if f.r.queue.Len() == 0 {
			return
		}
		w, _ := f.r.queue.Get()
		if _, err := f.r.Reconcile(context.Background(), w); err != nil {
			f.t.Fatal(err)
		}
		f.r.queue.Done(w)
	}
	f.t.Fatal("does not come to rest")
}

func (f *fixture) remove(name string, finalizers ...string) {
	f.t.Helper()
	cm := f.get(name)
	cm.Finalizers = finalizers
	if err := f.c.Update(context.Background(), cm); err != nil {
		f.t.Fatal(err)
	}
	if err := f.c.Delete(context.Background(), cm); err != nil {
		f.t.Fatal(err)
	}
}

func TestBackgroundForegroundOrphan(t *testing.T) {
	a := configMap("a")
	b := configMap("b", a)
	c := configMap("c", b)
	for name, tc := range map[string]struct {
		finalizers []string
		left       string
	}{
		"background":                {nil, ""},
		"foreground":                {[]string{metav1.FinalizerDeleteDependents}, ""},
		"orphan":                    {[]string{metav1.FinalizerOrphanDependents}, "bc"},
		"somebody else's finalizer": {[]string{"example.com/x"}, "abc"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, a.DeepCopy(), b.DeepCopy(), c.DeepCopy())
			f.settle("a", "b", "c")
			f.remove("a", tc.finalizers...)
			f.settle("a", "b", "c")
			left := ""
			for _, n := range []string{"a", "b", "c"} {
				if f.get(n) != nil {
					left += n
				}
			}
			if left != tc.left {
				t.Errorf("left %q, want %q", left, tc.left)
			}
			if left == "bc" && (len(f.get("b").OwnerReferences) != 0 || len(f.get("c").OwnerReferences) != 1) {
				t.Error("orphaning released the wrong objects")
			}
		})
	}
}

func TestSecondOwnerKeeps(t *testing.T) {
	a, b := configMap("a"), configMap("b")
	f := newFixture(t, a, b, configMap("d", a, b))
	f.settle("a", "b", "d")
	f.remove("a")
	f.settle("a", "b", "d")
	d := f.get("d")
	if d == nil || len(d.OwnerReferences) != 1 || d.OwnerReferences[0].Name != "b" {
		t.Fatalf("dependent is %+v", d)
	}
}

// The owner never existed: a live read finds that, and the object goes although
// its resource version moved on since the informer delivered it.
func TestDanglingWithStaleVersion(t *testing.T) {
	f := newFixture(t, configMap("d", configMap("never")))
	f.tell("d")
	d := f.get("d")
	d.Data = map[string]string{"x": "y"}
	if err := f.c.Update(context.Background(), d); err != nil {
		t.Fatal(err)
	}
	for f.r.queue.Len() > 0 {
		w, _ := f.r.queue.Get()
		if _, err := f.r.Reconcile(context.Background(), w); err != nil {
			t.Fatal(err)
		}
		f.r.queue.Done(w)
	}
	if f.get("d") != nil {
		t.Error("dangling object stays")
	}
}

// Its owners changed since: the delete must not happen.
func TestStaleOwnersAreNotActedOn(t *testing.T) {
	f := newFixture(t, configMap("d", configMap("never")), configMap("b"))
	f.tell("d", "b")
	d := f.get("d")
	d.OwnerReferences = configMap("x", configMap("b")).OwnerReferences
	if err := f.c.Update(context.Background(), d); err != nil {
		t.Fatal(err)
	}
	failed := false
	for f.r.queue.Len() > 0 {
		w, _ := f.r.queue.Get()
		_, err := f.r.Reconcile(context.Background(), w)
		failed = failed || err != nil
		f.r.queue.Done(w)
	}
	if f.get("d") == nil || !failed {
		t.Errorf("deleted on stale owners (retry asked for: %t)", failed)
	}
	f.settle("d", "b")
	if f.get("d") == nil {
		t.Error("deleted although its owner is there")
	}
}

func TestOrphaningSurvivesOtherWrites(t *testing.T) {
	a := configMap("a")
	objects := []client.Object{a}
	names := []string{"a"}
	for i := range 40 {
		name := fmt.Sprint("d", i)
		objects, names = append(objects, configMap(name, a)), append(names, name)
	}
	f := newFixture(t, objects...)
	f.tell(names...)
	for i, n := range names[1:] {
		cm := f.get(n)
		cm.Labels = map[string]string{"i": fmt.Sprint(i)}
		if err := f.c.Update(context.Background(), cm); err != nil {
			t.Fatal(err)
		}
	}
	f.remove("a", metav1.FinalizerOrphanDependents)
	f.settle(names...)
	if f.get("a") != nil {
		t.Error("owner stays")
	}
	for _, n := range names[1:] {
		if cm := f.get(n); cm == nil || len(cm.OwnerReferences) != 0 || cm.Labels == nil {
			t.Fatalf("%s is %+v", n, cm)
		}
	}
}

// Dependents that no informer has reported are released too.
func TestOrphaningReleasesUnreportedDependents(t *testing.T) {
	a := configMap("a")
	f := newFixture(t, a, configMap("reported", a), configMap("late", a), configMap("other", configMap("b")), configMap("b"))
	f.r.monitors.running[gvkConfigMap] = monitor{}
	f.tell("a", "reported")
	f.remove("a", metav1.FinalizerOrphanDependents)
	f.settle("a", "reported")
	f.settle("a", "reported", "late", "other", "b")
	for name, owners := range map[string]int{"reported": 0, "late": 0, "other": 1} {
		if cm := f.get(name); cm == nil || len(cm.OwnerReferences) != owners {
			t.Errorf("%s is %+v, want %d owners", name, cm, owners)
		}
	}
	if f.get("a") != nil {
		t.Error("owner stays")
	}
}
