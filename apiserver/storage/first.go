package storage

import (
	"context"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"
)

// firsts records the resources of which an object is stored. A component may
// delay its work for a kind until then: a watch cache, its etcd client and an
// informer together cost about thirty goroutines.
type firsts struct {
	mu        sync.Mutex
	resources map[schema.GroupResource]*first
}

func newFirsts() *firsts { return &firsts{resources: map[schema.GroupResource]*first{}} }

func (f *firsts) of(gr schema.GroupResource) *first {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.resources[gr] == nil {
		f.resources[gr] = &first{}
	}
	return f.resources[gr]
}

// first waits for the first object of a resource.
type first struct {
	// stored never becomes false again.
	stored atomic.Bool

	mu    sync.Mutex
	empty bool // etcd was asked, and nothing was written since
	wake  []func()
}

// comes runs before every write that may make an object. All such writes wait
// until the wake functions have returned.
func (f *first) comes() {
	if f.stored.Load() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, wake := range f.wake {
		wake()
	}
	f.wake = nil
	f.stored.Store(true)
}

// BeforeFirst reports whether no object of the resource is stored. If so, wake is
// called once, just before the first object is written. That write waits for wake,
// so wake must not send requests to the server. BeforeFirst counts keys, which
// opens no watch cache. Objects that another process writes are not noticed.
func (g *Getter) BeforeFirst(ctx context.Context, gr schema.GroupResource, wake func()) (bool, error) {
	f := g.firsts.of(gr)
	if f.stored.Load() {
		return false, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stored.Load() {
		return false, nil
	}
	if !f.empty {
		count, err := g.Stored(ctx, gr)
		if err != nil {
			return false, err
		}
		if count > 0 {
			f.stored.Store(true)
			return false, nil
		}
		f.empty = true
	}
	f.wake = append(f.wake, wake)
	return true, nil
}

// Create implements storage.Interface.
func (w waiter) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	w.first.comes()
	return w.Interface.Create(ctx, key, obj, out, ttl)
}

// GuaranteedUpdate implements storage.Interface; it creates what it may not find.
func (w waiter) GuaranteedUpdate(ctx context.Context, key string, destination runtime.Object, ignoreNotFound bool,
	preconditions *storage.Preconditions, update storage.UpdateFunc, cached runtime.Object) error {

	if ignoreNotFound {
		w.first.comes()
	}
	return w.Interface.GuaranteedUpdate(ctx, key, destination, ignoreNotFound, preconditions, update, cached)
}
