package informers

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// dormant is the informer of a kind, until it is awake. It may be used
// afterwards, too.
type dormant struct {
	cache *Cache
	kind  kind
	awake atomic.Bool // set under mu
	// synced is set when a read need neither wait for the informer nor make it.
	synced atomic.Bool

	mu       sync.Mutex
	object   client.Object // of the kind, if an informer is wanted
	informer cache.Informer
	indexes  []fieldIndex
	indexers []toolscache.Indexers
	handlers []*dormantHandler
}

type fieldIndex struct {
	field  string
	values client.IndexerFunc
}

// keep reports whether the informer sleeps. If so, it is made when the kind wakes.
func (d *dormant) keep(obj client.Object) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.awake.Load() {
		return false
	}
	d.object = obj
	return true
}

func (d *dormant) index(obj client.Object, field string, values client.IndexerFunc) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.awake.Load() {
		return false
	}
	d.object = obj
	d.indexes = append(d.indexes, fieldIndex{field, values})
	return true
}

// drop forgets what was wanted of an informer that sleeps.
func (d *dormant) drop() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.awake.Load() {
		return false
	}
	d.object, d.indexes, d.indexers, d.handlers = nil, nil, nil, nil
	return true
}

// wake makes the informer, if it is wanted. It waits for nothing.
func (d *dormant) wake() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.awake.Load() {
		return
	}
	if d.object != nil {
		if err := d.open(); err != nil {
			d.cache.config.Logger.Error(err, "waking an informer", "kind", d.kind.GroupVersionKind)
		}
	}
	d.indexes, d.indexers, d.handlers = nil, nil, nil
	d.awake.Store(true)
}

// open is called under mu.
func (d *dormant) open() error {
	ctx := context.Background() // nothing here waits
	for _, i := range d.indexes {
		if err := d.cache.Cache.IndexField(ctx, d.object, i.field, i.values); err != nil {
			return err
		}
	}
	var err error
	d.informer, err = d.cache.Cache.GetInformer(ctx, d.object, cache.BlockUntilSynced(false))
	if err != nil {
		return err
	}
	for _, i := range d.indexers {
		if err := d.informer.AddIndexers(i); err != nil {
			return err
		}
	}
	for _, h := range d.handlers {
		registration, err := d.informer.AddEventHandlerWithOptions(h.handler, h.options)
		if err != nil {
			return err
		}
		h.registration.Store(&registration)
	}
	return nil
}

// sync waits for an informer that is awake before it is read from, which the
// inner cache does by looking every 100 ms.
func (d *dormant) sync(ctx context.Context) error {
	if d.synced.Load() || !d.cache.started.Load() {
		return nil
	}
	obj, err := d.kind.object(d.cache.config.Scheme)
	if err != nil {
		return err
	}
	if _, err := d.cache.Cache.GetInformer(ctx, obj); err != nil {
		return err
	}
	d.synced.Store(true)
	return nil
}

// object returns an empty object of the kind.
func (k kind) object(scheme *runtime.Scheme) (client.Object, error) {
	switch k.form {
	case untyped:
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(k.GroupVersionKind)
		return u, nil
	case metadataOnly:
		m := &metav1.PartialObjectMetadata{}
		m.SetGroupVersionKind(k.GroupVersionKind)
		return m, nil
	}
	made, err := scheme.New(k.GroupVersionKind)
	if err != nil {
		return nil, fmt.Errorf("making a %s: %w", k.Kind, err)
	}
	obj, ok := made.(client.Object)
	if !ok {
		return nil, fmt.Errorf("making a %s: %T is no object", k.Kind, made)
	}
	return obj, nil
}

var _ cache.Informer = &dormant{}

// AddEventHandler implements cache.Informer.
func (d *dormant) AddEventHandler(h toolscache.ResourceEventHandler) (toolscache.ResourceEventHandlerRegistration, error) {
	return d.AddEventHandlerWithOptions(h, toolscache.HandlerOptions{})
}

// AddEventHandlerWithResyncPeriod implements cache.Informer.
func (d *dormant) AddEventHandlerWithResyncPeriod(h toolscache.ResourceEventHandler, resync time.Duration) (toolscache.ResourceEventHandlerRegistration, error) {
	return d.AddEventHandlerWithOptions(h, toolscache.HandlerOptions{ResyncPeriod: &resync})
}

// AddEventHandlerWithOptions implements cache.Informer.
func (d *dormant) AddEventHandlerWithOptions(h toolscache.ResourceEventHandler, options toolscache.HandlerOptions) (toolscache.ResourceEventHandlerRegistration, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.informer != nil {
		return d.informer.AddEventHandlerWithOptions(h, options)
	}
	kept := &dormantHandler{handler: h, options: options}
	d.handlers = append(d.handlers, kept)
	return kept, nil
}

// RemoveEventHandler implements cache.Informer.
func (d *dormant) RemoveEventHandler(r toolscache.ResourceEventHandlerRegistration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept, ok := r.(*dormantHandler)
	if ok {
		if awake := kept.registration.Load(); awake != nil {
			return d.informer.RemoveEventHandler(*awake)
		}
		for i, h := range d.handlers {
			if h == kept {
				d.handlers = append(d.handlers[:i], d.handlers[i+1:]...)
				break
			}
		}
		return nil
	}
	if d.informer == nil {
		return nil
	}
	return d.informer.RemoveEventHandler(r)
}

// AddIndexers implements cache.Informer.
func (d *dormant) AddIndexers(indexers toolscache.Indexers) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.informer != nil {
		return d.informer.AddIndexers(indexers)
	}
	d.indexers = append(d.indexers, indexers)
	return nil
}

func (d *dormant) inner() cache.Informer {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.informer
}

// HasSynced implements cache.Informer.
func (d *dormant) HasSynced() bool {
	i := d.inner()
	return i == nil || i.HasSynced()
}

// HasSyncedChecker implements cache.Informer.
func (d *dormant) HasSyncedChecker() toolscache.DoneChecker {
	if i := d.inner(); i != nil {
		return i.HasSyncedChecker()
	}
	return nothingToSync{}
}

// IsStopped implements cache.Informer.
func (d *dormant) IsStopped() bool {
	i := d.inner()
	return i != nil && i.IsStopped()
}

// dormantHandler is a handler that has seen everything there is while its
// informer sleeps.
type dormantHandler struct {
	handler      toolscache.ResourceEventHandler
	options      toolscache.HandlerOptions
	registration atomic.Pointer[toolscache.ResourceEventHandlerRegistration]
}

// HasSynced implements toolscache.ResourceEventHandlerRegistration.
func (h *dormantHandler) HasSynced() bool {
	r := h.registration.Load()
	return r == nil || (*r).HasSynced()
}

// HasSyncedChecker implements toolscache.ResourceEventHandlerRegistration.
func (h *dormantHandler) HasSyncedChecker() toolscache.DoneChecker {
	if r := h.registration.Load(); r != nil {
		return (*r).HasSyncedChecker()
	}
	return nothingToSync{}
}

type nothingToSync struct{}

// Name implements toolscache.DoneChecker.
func (nothingToSync) Name() string { return "kind without objects" }

// Done implements toolscache.DoneChecker.
func (nothingToSync) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}
