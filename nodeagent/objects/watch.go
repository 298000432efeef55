package objects

import (
	"context"

	"github.com/coracle-k8s/coracle/apis/listwatch"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// watchLocked starts the watch of one object if the store runs.
func (s *Store) watchLocked(key Key, e *entry) {
	if s.runCtx == nil || s.runCtx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(s.runCtx)
	e.cancel = cancel
	reflector := cache.NewReflectorWithOptions(s.listWatch(key, e), newObject(key.Kind), sink{s, key, e},
		cache.ReflectorOptions{Name: "node-object", Logger: &s.log})
	s.watches.Go(func() {
		defer cancel()
		reflector.RunWithContext(ctx)
	})
}

func (s *Store) listWatch(key Key, e *entry) cache.ListerWatcher {
	scope := func(raw *metav1.ListOptions) []client.ListOption {
		return []client.ListOption{
			&client.ListOptions{Raw: raw},
			client.InNamespace(key.Namespace),
			client.MatchingFields{metav1.ObjectNameField: key.Name},
		}
	}
	failed := func(err error) {
		if err != nil {
			s.mu.Lock()
			e.settle()
			s.mu.Unlock()
		}
	}
	return listwatch.Listing(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			// A list at 0 may predate a ConfigMap created just before its pod.
			if o.ResourceVersion == "0" {
				o.ResourceVersion = ""
			}
			list := newList(key.Kind)
			err := s.client.List(ctx, list, scope(&o)...)
			failed(err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			w, err := s.client.Watch(ctx, newList(key.Kind), scope(&o)...)
			failed(err)
			return w, err
		},
	})
}

func newList(kind Kind) client.ObjectList {
	if kind == Secret {
		return &corev1.SecretList{}
	}
	return &corev1.ConfigMapList{}
}

// sink is the reflector's store: it holds exactly one object, in the entry.
type sink struct {
	store *Store
	key   Key
	entry *entry
}

var _ cache.ReflectorStore = sink{}

func (k sink) put(obj any) error {
	object, ok := obj.(client.Object)
	// A server that ignores the field selector must not confuse the agent.
	if ok && object.GetName() == k.key.Name && object.GetNamespace() == k.key.Namespace {
		k.store.set(k.key, k.entry, object)
	}
	return nil
}

// Add implements cache.ReflectorStore.
func (k sink) Add(obj any) error { return k.put(obj) }

// Update implements cache.ReflectorStore.
func (k sink) Update(obj any) error { return k.put(obj) }

// Delete implements cache.ReflectorStore.
func (k sink) Delete(obj any) error {
	object, ok := obj.(client.Object)
	if ok && object.GetName() == k.key.Name && object.GetNamespace() == k.key.Namespace {
		k.store.set(k.key, k.entry, nil)
	}
	return nil
}

// Replace implements cache.ReflectorStore.
func (k sink) Replace(list []any, _ string) error {
	for _, obj := range list {
		object, ok := obj.(client.Object)
		if ok && object.GetName() == k.key.Name && object.GetNamespace() == k.key.Namespace {
			return k.put(object)
		}
	}
	k.store.set(k.key, k.entry, nil)
	return nil
}

// Resync implements cache.ReflectorStore.
func (k sink) Resync() error { return nil }
