// Package mirror keeps an indexed copy of one resource in memory, fed by a
// watch, for the parts of the API server that must answer from live objects
// within a request: authorizers and admission.
//
// A Mirror costs nothing before it is used: Run waits for the first Sync and only
// then lists and watches. Nothing polls: Sync and Wait are woken by changes.
//
// The API of this package is not stable: see docs/api.md.
package mirror

import (
	"context"
	"errors"
	"sync"

	"github.com/coracle-k8s/coracle/apis/listwatch"
	"github.com/coracle-k8s/coracle/apiserver/ondemand"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"
)

// Object is the constraint of the objects that a Mirror can hold.
type Object interface {
	runtime.Object
	metav1.Object
}

// Index computes the values under which an object is found by ByIndex.
type Index[T Object] func(obj T) []string

// Mirror is a live copy of all objects of one kind. Its objects are shared:
// callers must not change them.
type Mirror[T Object] struct {
	lw      cache.ListerWatcher
	indexes map[string]Index[T]
	trim    func(T) T

	// list is demanded by the first Sync, and complete when a whole list was seen.
	list    *ondemand.Work
	changes ondemand.Changes

	mu      sync.RWMutex
	stopped bool
	objects map[string]T
	values  map[string]map[string][]string     // by object, index: what it is found by
	byIndex map[string]map[string]map[string]T // by index, value, object
}

// New makes a mirror of what lw lists, with the given indexes. It does nothing
// until Run.
func New[T Object](lw cache.ListerWatcher, indexes map[string]Index[T]) *Mirror[T] {
	return NewTrimmed(lw, indexes, func(o T) T { return o })
}

// NewTrimmed is New for objects of which only a part is needed: trim gives what
// to keep of each, after the indexes were computed. It must keep name, namespace
// and resource version, and may reuse parts but not change them.
func NewTrimmed[T Object](lw cache.ListerWatcher, indexes map[string]Index[T], trim func(T) T) *Mirror[T] {
	m := &Mirror[T]{lw: lw, indexes: indexes, trim: trim, list: ondemand.New()}
	m.reset(0)
	return m
}

// Run feeds the mirror from the first Sync on until ctx is done. It returns
// nil.
func (m *Mirror[T]) Run(ctx context.Context) error {
	defer m.stop()
	select {
	case <-ctx.Done():
		return nil
	case <-m.list.Demanded():
	}
	var zero T
	cache.NewReflectorWithOptions(listwatch.Listing(cache.ToListerWatcherWithContext(m.lw)), zero, &feed[T]{m}, cache.ReflectorOptions{}).RunWithContext(ctx)
	return nil
}

// ErrStopped is returned to waiters when Run has ended: no further change will come.
var ErrStopped = errors.New("the mirror has stopped")

// stop wakes all waiters.
func (m *Mirror[T]) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped = true
	m.changes.Announce()
}

// Demand starts the mirror if it was not started yet, and does not wait.
func (m *Mirror[T]) Demand() { m.list.Demand() }

// Sync starts the mirror if it was not started yet, and returns when it has
// seen a whole list, or with ctx's error.
func (m *Mirror[T]) Sync(ctx context.Context) error {
	m.Demand()
	return m.Wait(ctx, nil)
}

// Synced reports whether the mirror has seen a whole list.
func (m *Mirror[T]) Synced() bool { return m.list.IsComplete() }

// Wait returns when the mirror is synced and holds is true (nil is always
// true), asking again after every change, or with ctx's error or ErrStopped.
// holds may call the mirror.
func (m *Mirror[T]) Wait(ctx context.Context, holds func() bool) error {
	if m.Synced() && (holds == nil || holds()) {
		return nil
	}
	for {
		changed := m.changes.Next()
		if m.Synced() && (holds == nil || holds()) {
			return nil
		}
		if m.hasStopped() {
			return ErrStopped
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

func (m *Mirror[T]) hasStopped() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.stopped
}

// Changed gives a channel that closes at the next change after this call.
func (m *Mirror[T]) Changed() <-chan struct{} { return m.changes.Next() }

// Get finds an object; namespace is empty for cluster-scoped kinds.
func (m *Mirror[T]) Get(namespace, name string) (T, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	obj, ok := m.objects[key(namespace, name)]
	return obj, ok
}

// ByIndex gives the objects for which the named index yields value, in no
// order.
func (m *Mirror[T]) ByIndex(index, value string) []T {
	m.mu.RLock()
	defer m.mu.RUnlock()
	found := m.byIndex[index][value]
	if len(found) == 0 {
		return nil
	}
	out := make([]T, 0, len(found))
	for _, obj := range found {
		out = append(out, obj)
	}
	return out
}

// Has reports whether the named index yields value for any object.
func (m *Mirror[T]) Has(index, value string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.byIndex[index][value]) > 0
}

// List gives all objects in no order.
func (m *Mirror[T]) List() []T {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := make([]T, 0, len(m.objects))
	for _, obj := range m.objects {
		out = append(out, obj)
	}
	return out
}

func key(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

func (m *Mirror[T]) reset(size int) {
	m.objects = make(map[string]T, size)
	m.values = make(map[string]map[string][]string, size)
	m.byIndex = make(map[string]map[string]map[string]T, len(m.indexes))
	for name := range m.indexes {
		m.byIndex[name] = map[string]map[string]T{}
	}
}

// set and unset are called with mu held. An object costs what it is indexed
// by, however many others there are.
func (m *Mirror[T]) set(obj T) {
	k := key(obj.GetNamespace(), obj.GetName())
	m.unset(k)
	kept := m.trim(obj)
	m.objects[k] = kept
	if len(m.indexes) == 0 {
		return
	}
	values := make(map[string][]string, len(m.indexes))
	for name, index := range m.indexes {
		values[name] = index(obj)
		for _, v := range values[name] {
			at := m.byIndex[name][v]
			if at == nil {
				at = map[string]T{}
				m.byIndex[name][v] = at
			}
			at[k] = kept
		}
	}
	m.values[k] = values
}

func (m *Mirror[T]) unset(k string) {
	for name, values := range m.values[k] {
		for _, v := range values {
			at := m.byIndex[name][v]
			delete(at, k)
			if len(at) == 0 {
				delete(m.byIndex[name], v)
			}
		}
	}
	delete(m.values, k)
	delete(m.objects, k)
}
