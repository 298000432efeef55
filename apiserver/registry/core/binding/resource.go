// Package binding serves POST to core/v1 bindings, the older way to bind a pod.
//
// The API of this package is not stable: see docs/api.md.
package binding

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/pod"
)

// New returns the resource.
func New() *registry.Resource {
	return &registry.Resource{
		GVK: corev1.SchemeGroupVersion.WithKind("Binding"), Plural: "bindings", Singular: "binding",
		Verbs: []string{"create"},
		Build: func(env registry.Env) (map[string]rest.Storage, error) {
			store, err := env.Store(corev1.Resource("pods"))
			if err != nil {
				return nil, err
			}
			return map[string]rest.Storage{"": &bindings{pods: pod.NewBinder(store, env.Clock)}}, nil
		},
	}
}

type bindings struct{ pods rest.NamedCreater }

// New implements rest.Storage.
func (b *bindings) New() runtime.Object { return &corev1.Binding{} }

// Destroy implements rest.Storage.
func (b *bindings) Destroy() {}

// NamespaceScoped implements rest.Scoper.
func (b *bindings) NamespaceScoped() bool { return true }

// GetSingularName implements rest.SingularNameProvider.
func (b *bindings) GetSingularName() string { return "binding" }

// Create implements rest.Creater.
func (b *bindings) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, o *metav1.CreateOptions) (runtime.Object, error) {
	binding, ok := obj.(*corev1.Binding)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a Binding object: %T", obj))
	}
	return b.pods.Create(ctx, binding.Name, obj, validate, o)
}
