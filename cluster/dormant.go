package cluster

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// dormantCache is a cache whose informers of kinds without any object sleep:
// they are not even made, reads find nothing, and handlers and indexes are
// remembered. The write of the first object of a kind wakes them before it is
// done, so that they tell of it like informers that were there all along.
//
// Most kinds are never used in most clusters, but each has a controller, or is
// looked at by the garbage collector or the scheduler. An informer with the
// server's part of it costs some hundred kilobytes, and time at start.
type dormantCache struct {
	cache.Cache
	scheme *runtime.Scheme
	logger logr.Logger
	// beforeFirst is apiserver.Server.BeforeFirst.
	beforeFirst func(ctx context.Context, kind schema.GroupVersionKind, wake func()) (bool, error)

	started atomic.Bool
	kinds   sync.Map // of kind to *dormant
	making  sync.Mutex
}

// kind is what an informer is of. There is one for typed objects and another
// one for their metadata.
type kind struct {
	schema.GroupVersionKind
	form form
}

type form int

const (
	typed form = iota
	untyped
	metadataOnly
)

// Start implements cache.Informers.
func (c *dormantCache) Start(ctx context.Context) error {
	c.started.Store(true)
	return c.Cache.Start(ctx)
}

// Get implements client.Reader.
func (c *dormantCache) Get(ctx context.Context, key client.ObjectKey, out client.Object, opts ...client.GetOption) error {
	d, err := c.of(ctx, out)
	if err != nil {
		return err
	}
	if d.awake.Load() {
		return c.Cache.Get(ctx, key, out, opts...)
	}
	if !c.started.Load() {
		return &cache.ErrCacheNotStarted{}
	}
	return apierrors.NewNotFound(schema.GroupResource{Group: d.kind.Group, Resource: d.kind.Kind}, key.Name)
}

// List implements client.Reader.
func (c *dormantCache) List(ctx context.Context, out client.ObjectList, opts ...client.ListOption) error {
	d, err := c.of(ctx, out)
	if err != nil {
		return err
	}
	if d.awake.Load() {
		return c.Cache.List(ctx, out, opts...)
	}
	if !c.started.Load() {
		return &cache.ErrCacheNotStarted{}
	}
	return meta.SetList(out, nil)
}

// GetInformer implements cache.Informers.
func (c *dormantCache) GetInformer(ctx context.Context, obj client.Object, opts ...cache.InformerGetOption) (cache.Informer, error) {
	d, err := c.of(ctx, obj)
	if err != nil {
		return nil, err
	}
	if d.keep(obj) {
		return d, nil
	}
	return c.Cache.GetInformer(ctx, obj, opts...)
}

// IndexField implements client.FieldIndexer.
func (c *dormantCache) IndexField(ctx context.Context, obj client.Object, field string, values client.IndexerFunc) error {
	d, err := c.of(ctx, obj)
	if err != nil {
		return err
	}
	if d.index(obj, field, values) {
		return nil
	}
	return c.Cache.IndexField(ctx, obj, field, values)
}

// RemoveInformer implements cache.Informers.
func (c *dormantCache) RemoveInformer(ctx context.Context, obj client.Object) error {
	d, err := c.of(ctx, obj)
	if err != nil {
		return err
	}
	if d.drop() {
		return nil
	}
	return c.Cache.RemoveInformer(ctx, obj)
}

// of finds what is known of an object's, or a list's, kind.
func (c *dormantCache) of(ctx context.Context, obj runtime.Object) (*dormant, error) {
	gvk, err := apiutil.GVKForObject(obj, c.scheme)
	if err != nil {
		return nil, err
	}
	k := kind{GroupVersionKind: gvk}
	if meta.IsListType(obj) {
		k.Kind = strings.TrimSuffix(gvk.Kind, "List")
	}
	switch obj.(type) {
	case runtime.Unstructured:
		k.form = untyped
	case *metav1.PartialObjectMetadata, *metav1.PartialObjectMetadataList:
		k.form = metadataOnly
	}
	if d, ok := c.kinds.Load(k); ok {
		return d.(*dormant), nil
	}
	return c.meet(ctx, k), nil
}

// meet asks the server about a kind that nobody asked for before.
func (c *dormantCache) meet(ctx context.Context, k kind) *dormant {
	c.making.Lock()
	defer c.making.Unlock()
	if d, ok := c.kinds.Load(k); ok {
		return d.(*dormant)
	}
	d := &dormant{cache: c, kind: k}
	asleep, err := c.beforeFirst(ctx, k.GroupVersionKind, d.wake)
	if err != nil || !asleep {
		d.wake() // an informer tells its errors itself
	}
	c.kinds.Store(k, d)
	return d
}

// dormant is the informer of a kind, until it is awake. It may be used
// afterwards, too.
type dormant struct {
	cache *dormantCache
	kind  kind
	awake atomic.Bool // set under mu

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

// keep says whether the informer sleeps, and makes it one that is wanted.
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
			d.cache.logger.Error(err, "waking an informer", "kind", d.kind.GroupVersionKind)
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
