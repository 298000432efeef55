package serviceaccount

import (
	"context"
	"testing"

	"github.com/coracle-k8s/coracle/controllers"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func newScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	if err := corev1.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestReconcileCreatesAndRestores(t *testing.T) {
	ctx := context.Background()
	c := fake.NewClientBuilder().WithScheme(newScheme(t)).
		WithObjects(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}}).Build()
	r := New(controllers.Deps{Client: c})
	req := reconcile.Request{NamespacedName: types.NamespacedName{Name: "a"}}
	key := types.NamespacedName{Namespace: "a", Name: "default"}
	for range 2 {
		if _, err := r.Reconcile(ctx, req); err != nil {
			t.Fatal(err)
		}
		var sa corev1.ServiceAccount
		if err := c.Get(ctx, key, &sa); err != nil {
			t.Fatal(err)
		}
		if err := c.Delete(ctx, &sa); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReconcileForgivesGoingNamespace(t *testing.T) {
	terminating := apierrors.NewForbidden(corev1.Resource("serviceaccounts"), "default", nil)
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, failure := range map[string]error{
		"terminating": terminating,
		"gone":        apierrors.NewNotFound(corev1.Resource("namespaces"), "a"),
		"exists":      apierrors.NewAlreadyExists(corev1.Resource("serviceaccounts"), "default"),
	} {
		t.Run(name, func(t *testing.T) {
			c := fake.NewClientBuilder().WithScheme(newScheme(t)).
				WithObjects(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}}).
				WithInterceptorFuncs(interceptor.Funcs{
					Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error { return failure },
				}).Build()
			if _, err := New(controllers.Deps{Client: c}).Reconcile(context.Background(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "a"}}); err != nil {
				t.Fatal(err)
			}
		})
	}
}
