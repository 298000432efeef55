package mirror

import (
	"context"
	"fmt"

	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/client-go/tools/cache"
)

// feed is the store that a reflector writes into.
type feed[T Object] struct{ m *Mirror[T] }

var _ cache.ReflectorStore = &feed[Object]{}

func (f *feed[T]) Add(obj any) error { return f.Update(obj) }

func (f *feed[T]) Update(obj any) error {
	return f.change(obj, (*Mirror[T]).set)
}

func (f *feed[T]) Delete(obj any) error {
	return f.change(obj, func(m *Mirror[T], o T) { m.unset(key(o.GetNamespace(), o.GetName())) })
}

func (f *feed[T]) change(obj any, do func(*Mirror[T], T)) error {
	o, ok := obj.(T)
	if !ok {
		return fmt.Errorf("mirroring: unexpected %T", obj)
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	do(f.m, o)
	f.m.changes.Announce()
	return nil
}

func (f *feed[T]) Replace(list []any, _ string) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.m.reset(len(list))
	for _, item := range list {
		o, ok := item.(T)
		if !ok {
			return fmt.Errorf("mirroring: unexpected %T", item)
		}
		f.m.set(o)
	}
	f.m.list.Complete()
	f.m.changes.Announce()
	return nil
}

func (f *feed[T]) Resync() error { return nil }

// FromStorage lists and watches all namespaces of a resource in the API
// server's own storage, without a request.
func FromStorage(storage interface {
	rest.Lister
	rest.Watcher
}) cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			// Version 0 is whatever the watch cache holds: the watch goes on from there.
			return storage.List(request.WithNamespace(ctx, metav1.NamespaceAll), internal(o))
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			w, err := storage.Watch(request.WithNamespace(ctx, metav1.NamespaceAll), internal(o))
			if err != nil {
				return nil, err
			}
			return unwrapped(w), nil
		},
	}
}

// unwrapped takes objects out of the wrapper in which the watch cache shares
// their encodings among watchers. (watch.Filter would leave its goroutine
// behind when the caller does not take its last event.)
func unwrapped(in watch.Interface) watch.Interface {
	events := make(chan watch.Event)
	out := watch.NewProxyWatcher(events)
	go func() {
		defer close(events)
		defer in.Stop()
		for {
			select {
			case e, ok := <-in.ResultChan():
				if !ok {
					return
				}
				if shared, ok := e.Object.(runtime.CacheableObject); ok {
					e.Object = shared.GetObject()
				}
				select {
				case events <- e:
				case <-out.StopChan():
					return
				}
			case <-out.StopChan():
				return
			}
		}
	}()
	return out
}

func internal(o metav1.ListOptions) *metainternalversion.ListOptions {
	return &metainternalversion.ListOptions{
		ResourceVersion: o.ResourceVersion, ResourceVersionMatch: o.ResourceVersionMatch,
		TimeoutSeconds: o.TimeoutSeconds, AllowWatchBookmarks: o.AllowWatchBookmarks, Watch: o.Watch,
		Limit: o.Limit, Continue: o.Continue, SendInitialEvents: o.SendInitialEvents,
	}
}
