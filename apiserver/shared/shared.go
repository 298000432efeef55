// Package shared gives the informers of the server's own process what its watch
// caches hold, without a request, and without another copy in memory: of each
// object they get a struct of their own, but all that it points to is the watch
// cache's. Through the API every change would be encoded once and decoded again
// by every informer, and a pod would be in memory twice.
//
// The API of this package is not stable: see docs/api.md.
package shared

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/client-go/tools/cache"
)

// Source lists and watches all objects of a kind. A user of it may set fields of
// an object itself, as a transformation of an informer does, but must not change
// what its pointers, slices and maps lead to: requests are answered from there.
type Source struct {
	// Open returns the store at the first use, or nil if there is none whose
	// objects are of the wanted type; it may wait for the store.
	Open func() *genericregistry.Store
	// Cached reports whether a store has a watch cache. Objects of a store
	// without one belong to the informer alone.
	Cached func(*genericregistry.Store) bool
	// Otherwise is asked where there is no such store.
	Otherwise cache.ListerWatcherWithContext

	once  sync.Once
	store *genericregistry.Store
}

var _ cache.ListerWatcherWithContext = &Source{}

func (s *Source) open() *genericregistry.Store {
	s.once.Do(func() { s.store = s.Open() })
	return s.store
}

// ListWithContext implements cache.ListerWithContext.
func (s *Source) ListWithContext(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	store := s.open()
	if store == nil {
		return s.Otherwise.ListWithContext(ctx, o)
	}
	return store.List(everywhere(ctx), internal(o))
}

// WatchWithContext implements cache.WatcherWithContext.
func (s *Source) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	store := s.open()
	if store == nil {
		return s.Otherwise.WatchWithContext(ctx, o)
	}
	ctx, cancel := context.WithCancel(everywhere(ctx))
	in, err := store.Watch(ctx, internal(o))
	if err != nil {
		cancel()
		return nil, err
	}
	if !s.Cached(store) {
		return ending{in, cancel}, nil
	}
	events := make(chan watch.Event)
	out := watch.NewProxyWatcher(events)
	go func() {
		defer cancel()
		defer close(events)
		defer in.Stop()
		forward(ctx, store, in, events, out.StopChan())
	}()
	return out, nil
}

// ending is a watch that takes its context along.
type ending struct {
	watch.Interface
	cancel context.CancelFunc
}

// Stop implements watch.Interface.
func (e ending) Stop() {
	e.cancel()
	e.Interface.Stop()
}

func forward(ctx context.Context, store *genericregistry.Store, in watch.Interface, events chan<- watch.Event, stop <-chan struct{}) {
	for {
		select {
		case e, ok := <-in.ResultChan():
			if !ok {
				return
			}
			e.Object = own(ctx, store, e)
			select {
			case events <- e:
			case <-stop:
				return
			}
		case <-stop:
			return
		}
	}
}

// own returns the object of an event as the watch cache has it, or a copy if
// that has a newer one already: then the next events bring it.
func own(ctx context.Context, store *genericregistry.Store, e watch.Event) runtime.Object {
	if e.Type == watch.Added || e.Type == watch.Modified {
		if o, err := meta.Accessor(e.Object); err == nil {
			// At version 0 the watch cache answers.
			cached, err := store.Get(request.WithNamespace(ctx, o.GetNamespace()), o.GetName(), &metav1.GetOptions{ResourceVersion: "0"})
			if err == nil && same(cached, o) {
				return cached
			}
		}
	}
	if wrapped, ok := e.Object.(runtime.CacheableObject); ok {
		return wrapped.GetObject()
	}
	return e.Object
}

func same(cached runtime.Object, o metav1.Object) bool {
	c, err := meta.Accessor(cached)
	return err == nil && c.GetUID() == o.GetUID() && c.GetResourceVersion() == o.GetResourceVersion()
}

func everywhere(ctx context.Context) context.Context {
	return request.WithNamespace(ctx, metav1.NamespaceAll)
}

// internal returns the options that a reflector sets; there are no selectors.
func internal(o metav1.ListOptions) *metainternalversion.ListOptions {
	if o.LabelSelector != "" || o.FieldSelector != "" {
		panic(fmt.Sprintf("shared: an informer of everything with the selectors %q and %q", o.LabelSelector, o.FieldSelector))
	}
	return &metainternalversion.ListOptions{
		ResourceVersion: o.ResourceVersion, ResourceVersionMatch: o.ResourceVersionMatch,
		TimeoutSeconds: o.TimeoutSeconds, AllowWatchBookmarks: o.AllowWatchBookmarks, Watch: o.Watch,
		Limit: o.Limit, Continue: o.Continue, SendInitialEvents: o.SendInitialEvents,
	}
}
