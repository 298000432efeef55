// Package mirror keeps an indexed copy of one resource in memory, fed by a
// watch, for the parts of the API server that must answer from live objects
// within a request: authorizers and admission.
//
// A Mirror costs nothing until somebody asks: Run waits for the first Sync and
// only then lists and watches. Nothing polls: Sync and Wait are woken by
// changes.
package mirror

import (
	"context"
	"errors"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"
)

// Object is what a Mirror can hold.
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

	demand     chan struct{} // closed by the first Sync
	demandOnce sync.Once

	mu      sync.RWMutex
	synced  bool
	stopped bool
	objects map[string]T
	byIndex map[string]map[string][]T // index, value, objects in no order
	changed chan struct{}             // closed at the next change; nil while nobody waits
}

// New makes a mirror of what lw lists, with the given indexes. It does nothing
// until Run.
func New[T Object](lw cache.ListerWatcher, indexes map[string]Index[T]) *Mirror[T] {
	m := &Mirror[T]{lw: lw, indexes: indexes, demand: make(chan struct{})}
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
	case <-m.demand:
	}
	var zero T
	cache.NewReflectorWithOptions(plainListWatch{m.lw}, zero, &feed[T]{m}, cache.ReflectorOptions{}).RunWithContext(ctx)
	return nil
}

// ErrStopped says that Run has ended: what was waited for will not come.
var ErrStopped = errors.New("the mirror has stopped")

// stop wakes those who wait.
func (m *Mirror[T]) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped = true
	m.announce()
}

// Demand starts the mirror if nobody has yet, and does not wait.
func (m *Mirror[T]) Demand() { m.demandOnce.Do(func() { close(m.demand) }) }

// Sync starts the mirror if nobody has yet, and returns when it has seen a
// whole list, or with ctx's error.
func (m *Mirror[T]) Sync(ctx context.Context) error {
	m.Demand()
	return m.Wait(ctx, nil)
}

// Synced reports whether the mirror has seen a whole list.
func (m *Mirror[T]) Synced() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.synced
}

// Wait returns when the mirror is synced and holds is true (nil is always
// true), asking again after every change, or with ctx's error or ErrStopped.
// holds may call the mirror.
func (m *Mirror[T]) Wait(ctx context.Context, holds func() bool) error {
	if m.Synced() && (holds == nil || holds()) {
		return nil
	}
	for {
		synced, stopped, changed := m.next()
		if synced && (holds == nil || holds()) {
			return nil
		}
		if stopped {
			return ErrStopped
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

// next gives the state and a channel that closes at the next change after it.
func (m *Mirror[T]) next() (synced, stopped bool, changed <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.changed == nil {
		m.changed = make(chan struct{})
	}
	return m.synced, m.stopped, m.changed
}

// Get finds an object; namespace is empty for cluster-scoped kinds.
func (m *Mirror[T]) Get(namespace, name string) (T, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	obj, ok := m.objects[key(namespace, name)]
	return obj, ok
}

// ByIndex gives the objects for which the named index yields value, in no
// order. The slice is the mirror's own: do not change it.
func (m *Mirror[T]) ByIndex(index, value string) []T {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.byIndex[index][value]
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
	m.byIndex = make(map[string]map[string][]T, len(m.indexes))
	for name := range m.indexes {
		m.byIndex[name] = map[string][]T{}
	}
}

// set and unset are called with mu held.
func (m *Mirror[T]) set(obj T) {
	m.unset(obj)
	m.objects[key(obj.GetNamespace(), obj.GetName())] = obj
	for name, index := range m.indexes {
		for _, value := range index(obj) {
			// Copied, because ByIndex hands out the slice.
			m.byIndex[name][value] = append(slices.Clip(m.byIndex[name][value]), obj)
		}
	}
}

func (m *Mirror[T]) unset(obj T) {
	k := key(obj.GetNamespace(), obj.GetName())
	old, ok := m.objects[k]
	if !ok {
		return
	}
	delete(m.objects, k)
	for name, index := range m.indexes {
		for _, value := range index(old) {
			rest := make([]T, 0, len(m.byIndex[name][value]))
			for _, o := range m.byIndex[name][value] {
				if o.GetNamespace() != old.GetNamespace() || o.GetName() != old.GetName() {
					rest = append(rest, o)
				}
			}
			if len(rest) == 0 {
				delete(m.byIndex[name], value)
			} else {
				m.byIndex[name][value] = rest
			}
		}
	}
}

func (m *Mirror[T]) announce() {
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
}
