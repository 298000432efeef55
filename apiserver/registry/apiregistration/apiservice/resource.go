// Package apiservice serves APIServices. apiserver/aggregator serves the groups
// that they announce.
//
// The API of this package is not stable: see docs/api.md.
package apiservice

import (
	"context"

	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	stock "k8s.io/kube-aggregator/pkg/registry/apiservice/etcd"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	gvk := apiregistrationv1.SchemeGroupVersion.WithKind("APIService")
	return &registry.Resource{
		GVK: gvk, Plural: "apiservices", Singular: "apiservice",
		Categories: []string{"api-extensions"}, ClusterScoped: true,
		Verbs:        []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"},
		Subresources: []registry.Subresource{{Name: "status", GVK: gvk, Verbs: []string{"get", "patch", "update"}}},
		Build:        build,
	}
}

func build(env registry.Env) (map[string]rest.Storage, error) {
	services := stock.NewREST(env.Scheme, env.RESTOptions)
	return map[string]rest.Storage{"": storage{services, env.APIServices}, "status": stock.NewStatusREST(env.Scheme, services)}, nil
}

// storage is the library's, but has the APIServices of what is served here
// stored before it answers first, and writes return when they had their effect.
type storage struct {
	*stock.REST
	observer registry.APIServiceObserver
}

// UnderlyingStore returns the store for registry.StoreOf.
func (s storage) UnderlyingStore() *genericregistry.Store { return s.REST.Store }

// Get implements rest.Getter.
func (s storage) Get(ctx context.Context, name string, o *metav1.GetOptions) (runtime.Object, error) {
	if err := s.observer.Sync(ctx); err != nil {
		return nil, err
	}
	return s.REST.Get(ctx, name, o)
}

// List implements rest.Lister.
func (s storage) List(ctx context.Context, o *metainternalversion.ListOptions) (runtime.Object, error) {
	if err := s.observer.Sync(ctx); err != nil {
		return nil, err
	}
	return s.REST.List(ctx, o)
}

// Watch implements rest.Watcher.
func (s storage) Watch(ctx context.Context, o *metainternalversion.ListOptions) (watch.Interface, error) {
	if err := s.observer.Sync(ctx); err != nil {
		return nil, err
	}
	return s.REST.Watch(ctx, o)
}

// Create implements rest.Creater.
func (s storage) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, o *metav1.CreateOptions) (runtime.Object, error) {
	if err := s.observer.Sync(ctx); err != nil {
		return nil, err
	}
	out, err := s.REST.Create(ctx, obj, validate, o)
	if err == nil && len(o.DryRun) == 0 {
		s.settle(ctx, out)
	}
	return out, err
}

// Update implements rest.Updater.
func (s storage) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc,
	update rest.ValidateObjectUpdateFunc, force bool, o *metav1.UpdateOptions) (runtime.Object, bool, error) {
	if err := s.observer.Sync(ctx); err != nil {
		return nil, false, err
	}
	out, created, err := s.REST.Update(ctx, name, info, create, update, force, o)
	if err == nil && len(o.DryRun) == 0 {
		s.settle(ctx, out)
	}
	return out, created, err
}

func (s storage) settle(ctx context.Context, obj runtime.Object) {
	if a, ok := obj.(metav1.Object); ok && a.GetDeletionTimestamp() == nil {
		s.observer.Settle(ctx, a.GetName(), a.GetResourceVersion())
	}
}
