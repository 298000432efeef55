// Package customresourcedefinition serves CustomResourceDefinitions.
// apiserver/customresources serves the resources that they define.
//
// The API of this package is not stable: see docs/api.md.
package customresourcedefinition

import (
	"context"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	stock "k8s.io/apiextensions-apiserver/pkg/registry/customresourcedefinition"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	gvk := apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition")
	return &registry.Resource{
		GVK: gvk, Plural: "customresourcedefinitions", Singular: "customresourcedefinition",
		ShortNames: []string{"crd", "crds"}, Categories: []string{"api-extensions"}, ClusterScoped: true,
		Verbs:        []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"},
		Subresources: []registry.Subresource{{Name: "status", GVK: gvk, Verbs: []string{"get", "patch", "update"}}},
		Build:        build,
	}
}

func build(env registry.Env) (map[string]rest.Storage, error) {
	definitions, err := stock.NewREST(env.Scheme, env.RESTOptions)
	if err != nil {
		return nil, fmt.Errorf("opening the storage of CustomResourceDefinitions: %w", err)
	}
	main := storage{REST: definitions, observer: env.Definitions}
	return map[string]rest.Storage{"": main, "status": stock.NewStatusREST(env.Scheme, definitions)}, nil
}

// storage is the library's, but a write returns when it has had its effect.
type storage struct {
	*stock.REST
	observer registry.DefinitionObserver
}

// UnderlyingStore returns the store for registry.StoreOf.
func (s storage) UnderlyingStore() *genericregistry.Store { return s.REST.Store }

// Create implements rest.Creater.
func (s storage) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, o *metav1.CreateOptions) (runtime.Object, error) {
	s.observer.Demand()
	out, err := s.REST.Create(ctx, obj, validate, o)
	if err == nil && len(o.DryRun) == 0 {
		s.settle(ctx, out)
	}
	return out, err
}

// Update implements rest.Updater; server-side apply creates by it.
func (s storage) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc,
	update rest.ValidateObjectUpdateFunc, force bool, o *metav1.UpdateOptions) (runtime.Object, bool, error) {
	s.observer.Demand()
	out, created, err := s.REST.Update(ctx, name, info, create, update, force, o)
	if err == nil && len(o.DryRun) == 0 {
		s.settle(ctx, out)
	}
	return out, created, err
}

func (s storage) settle(ctx context.Context, obj runtime.Object) {
	if crd, ok := obj.(metav1.Object); ok && crd.GetDeletionTimestamp() == nil {
		s.observer.Settle(ctx, crd.GetName(), crd.GetResourceVersion())
	}
}
