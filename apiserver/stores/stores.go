// Package stores reads the API server's own storages, without a request.
//
// The API of this package is not stable: see docs/api.md.
package stores

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/coracle-k8s/coracle/apiserver/auth/mirror"
)

// Opener opens the storage of a resource, as dispatch.Dispatcher does.
type Opener interface {
	// Store returns the storage, which is made when it is needed first.
	Store(schema.GroupResource) (*genericregistry.Store, error)
	// Stores reports whether the resource has one.
	Stores(schema.GroupVersionResource) bool
}

// Stores are the storages of a server. Access control needs them, and they need access control:
// so Stores are made first, without an Opener, and read from only by requests. Make them with New.
type Stores struct{ opener atomic.Pointer[Opener] }

// New returns Stores that have no Opener yet.
func New() *Stores { return &Stores{} }

// Use sets the Opener.
func (s *Stores) Use(o Opener) { s.opener.Store(&o) }

var errNotBuilt = errors.New("the API server is not built yet")

// Store returns the storage of a resource.
func (s *Stores) Store(gr schema.GroupResource) (*genericregistry.Store, error) {
	o := s.opener.Load()
	if o == nil {
		return nil, errNotBuilt
	}
	return (*o).Store(gr)
}

// Has reports whether the server stores a resource itself.
func (s *Stores) Has(gvr schema.GroupVersionResource) bool {
	o := s.opener.Load()
	return o != nil && (*o).Stores(gvr)
}

// Watch lists and watches all objects of a resource, whose storage is opened then.
func (s *Stores) Watch(gr schema.GroupResource) cache.ListerWatcher {
	return mirror.FromStorage(&lazy{s, gr})
}

// Get reads an object from etcd, not from the watch cache.
func (s *Stores) Get(ctx context.Context, gr schema.GroupResource, namespace, name string) (runtime.Object, error) {
	store, err := s.Store(gr)
	if err != nil {
		return nil, err
	}
	return store.Get(reading(ctx, gr, namespace), name, &metav1.GetOptions{})
}

// List reads the objects of a namespace from the watch cache.
func (s *Stores) List(ctx context.Context, gr schema.GroupResource, namespace string) (runtime.Object, error) {
	store, err := s.Store(gr)
	if err != nil {
		return nil, err
	}
	return store.List(reading(ctx, gr, namespace), &metainternalversion.ListOptions{ResourceVersion: "0"})
}

// reading returns the context of a read that some request needs: a storage
// calls what it does not find after the request in its context.
func reading(ctx context.Context, gr schema.GroupResource, namespace string) context.Context {
	info := &request.RequestInfo{IsResourceRequest: true, APIGroup: gr.Group, Resource: gr.Resource, Namespace: namespace}
	return request.WithRequestInfo(request.WithNamespace(ctx, namespace), info)
}

// GetCached reads an object of the core group from the watch cache or, since it may be newer than
// that, from etcd. The namespace is empty for resources without namespaces.
func GetCached[T runtime.Object](ctx context.Context, s *Stores, resource, namespace, name string) (T, error) {
	var none T
	store, err := s.Store(schema.GroupResource{Resource: resource})
	if err != nil {
		return none, err
	}
	if namespace != "" {
		ctx = request.WithNamespace(ctx, namespace)
	}
	obj, err := store.Get(ctx, name, &metav1.GetOptions{ResourceVersion: "0"})
	if apierrors.IsNotFound(err) { // as upstream, etcd decides
		obj, err = store.Get(ctx, name, &metav1.GetOptions{})
	}
	if err != nil {
		return none, err
	}
	t, ok := obj.(T)
	if !ok {
		return none, fmt.Errorf("reading %s %s: got %T", resource, name, obj)
	}
	return t, nil
}

// lazy opens a resource when it is listed first.
type lazy struct {
	stores   *Stores
	resource schema.GroupResource
}

var (
	_ rest.Lister  = &lazy{}
	_ rest.Watcher = &lazy{}
)

// List implements rest.Lister.
func (l *lazy) List(ctx context.Context, o *metainternalversion.ListOptions) (runtime.Object, error) {
	s, err := l.stores.Store(l.resource)
	if err != nil {
		return nil, err
	}
	return s.List(ctx, o)
}

// Watch implements rest.Watcher.
func (l *lazy) Watch(ctx context.Context, o *metainternalversion.ListOptions) (watch.Interface, error) {
	s, err := l.stores.Store(l.resource)
	if err != nil {
		return nil, err
	}
	return s.Watch(ctx, o)
}

// NewList is part of rest.Lister and not asked for by mirrors.
func (l *lazy) NewList() runtime.Object { return nil }

// ConvertToTable is part of rest.Lister and not asked for by mirrors.
func (l *lazy) ConvertToTable(context.Context, runtime.Object, runtime.Object) (*metav1.Table, error) {
	return nil, http.ErrNotSupported
}
