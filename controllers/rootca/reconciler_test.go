package rootca

import (
	"context"
	"testing"

	"github.com/coracle-k8s/coracle/controllers"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func TestReconcileFollowsAuthority(t *testing.T) {
	ctx := context.Background()
	s := runtime.NewScheme()
	if err := corev1.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(s).WithObjects(
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceTerminating}},
	).Build()
	ca := "one"
	r := New(controllers.Deps{Client: c}, Config{CA: func() []byte { return []byte(ca) }})
	for _, ca = range []string{"one", "two"} {
		for _, req := range r.everyNamespace(ctx, nil) {
			if _, err := r.Reconcile(ctx, req); err != nil {
				t.Fatal(err)
			}
		}
		var cm corev1.ConfigMap
		if err := c.Get(ctx, types.NamespacedName{Namespace: "a", Name: ConfigMapName}, &cm); err != nil {
			t.Fatal(err)
		}
		if cm.Data["ca.crt"] != ca {
			t.Errorf("published %q, want %q", cm.Data["ca.crt"], ca)
		}
		if err := c.Get(ctx, types.NamespacedName{Namespace: "b", Name: ConfigMapName}, &cm); err == nil {
			t.Error("published to a terminating namespace")
		}
	}
	if _, err := r.Reconcile(ctx, reconcile.Request{NamespacedName: types.NamespacedName{Name: "gone"}}); err != nil {
		t.Error(err)
	}
}

// A user's ConfigMap of that name, made before the publisher's, is corrected.
func TestForeignConfigMapWakes(t *testing.T) {
	for name, want := range map[string]bool{ConfigMapName: true, "other": false} {
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name}}
		if got := published().Create(event.CreateEvent{Object: cm}); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
