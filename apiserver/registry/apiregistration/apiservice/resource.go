// Package apiservice serves APIServices. What they announce is served by
// apiserver/aggregator.
package apiservice

import (
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
	return map[string]rest.Storage{"": storage{services}, "status": stock.NewStatusREST(env.Scheme, services)}, nil
}

// storage is the library's, and says what it stores in.
type storage struct{ *stock.REST }

// UnderlyingStore is what registry.StoreOf returns.
func (s storage) UnderlyingStore() *genericregistry.Store { return s.REST.Store }
