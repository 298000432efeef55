// Package informers is the cache that all parts of a process share: informers
// sleep until there are objects, report at once when they have synced, and may
// share their objects with the server.
//
// The API of this package is not stable: see docs/api.md.
package informers

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// Cache is a cache whose informers of kinds without any object sleep: they are
// not even made, reads find nothing, and handlers and indexes are remembered.
// The write of the first object of a kind wakes them before it is done, so that
// they deliver it like informers that were there all along.
//
// Most kinds are never used in most clusters, but each has a controller, or is
// looked at by the garbage collector or the scheduler. An informer with the
// server's part of it costs some hundred kilobytes, and time at start.
type Cache struct {
	cache.Cache
	config Config

	started atomic.Bool
	kinds   sync.Map // of kind to *dormant
	making  sync.Mutex
}

// Config holds what a Cache needs beside controller-runtime's options. All fields
// are required.
type Config struct {
	Scheme *runtime.Scheme
	// Stopped ends when the cache's manager is stopped, see UntilStopped.
	Stopped context.Context
	// Logger gets the errors of informers that do not wake.
	Logger logr.Logger
	Share  Sharing
	// BeforeFirst reports whether there is no object of a kind yet. Then it calls
	// wake before it lets the first one be written.
	BeforeFirst func(ctx context.Context, kind schema.GroupVersionKind, wake func()) (asleep bool, err error)
}

// New makes a cache with options for a manager.
func New(c *rest.Config, options cache.Options, config Config) (*Cache, error) {
	prompt, err := newPromptCache(c, options, config.Share)
	if err != nil {
		return nil, err
	}
	return &Cache{Cache: untilStopped{prompt, config.Stopped}, config: config}, nil
}

// kind holds what an informer is of. There is one for typed objects and another
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
func (c *Cache) Start(ctx context.Context) error {
	c.started.Store(true)
	return c.Cache.Start(ctx)
}

// Get implements client.Reader.
func (c *Cache) Get(ctx context.Context, key client.ObjectKey, out client.Object, opts ...client.GetOption) error {
	d, err := c.of(ctx, out)
	if err != nil {
		return err
	}
	if d.awake.Load() {
		if err := d.sync(ctx); err != nil {
			return err
		}
		return c.Cache.Get(ctx, key, out, opts...)
	}
	if !c.started.Load() {
		return &cache.ErrCacheNotStarted{}
	}
	return apierrors.NewNotFound(schema.GroupResource{Group: d.kind.Group, Resource: d.kind.Kind}, key.Name)
}

// List implements client.Reader.
func (c *Cache) List(ctx context.Context, out client.ObjectList, opts ...client.ListOption) error {
	d, err := c.of(ctx, out)
	if err != nil {
		return err
	}
	if d.awake.Load() {
		if err := d.sync(ctx); err != nil {
			return err
		}
		return c.Cache.List(ctx, out, opts...)
	}
	if !c.started.Load() {
		return &cache.ErrCacheNotStarted{}
	}
	return meta.SetList(out, nil)
}

// GetInformer implements cache.Informers.
func (c *Cache) GetInformer(ctx context.Context, obj client.Object, opts ...cache.InformerGetOption) (cache.Informer, error) {
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
func (c *Cache) IndexField(ctx context.Context, obj client.Object, field string, values client.IndexerFunc) error {
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
func (c *Cache) RemoveInformer(ctx context.Context, obj client.Object) error {
	d, err := c.of(ctx, obj)
	if err != nil {
		return err
	}
	if d.drop() {
		return nil
	}
	d.synced.Store(false)
	return c.Cache.RemoveInformer(ctx, obj)
}

// Asleep reports whether there is no informer of an object's kind, because there
// is no such object.
func (c *Cache) Asleep(ctx context.Context, obj client.Object) (bool, error) {
	d, err := c.of(ctx, obj)
	return err == nil && !d.awake.Load(), err
}

// of finds what is known of an object's, or a list's, kind.
func (c *Cache) of(ctx context.Context, obj runtime.Object) (*dormant, error) {
	gvk, err := apiutil.GVKForObject(obj, c.config.Scheme)
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

// meet asks the server about a kind at its first use.
func (c *Cache) meet(ctx context.Context, k kind) *dormant {
	c.making.Lock()
	defer c.making.Unlock()
	if d, ok := c.kinds.Load(k); ok {
		return d.(*dormant)
	}
	d := &dormant{cache: c, kind: k}
	asleep, err := c.config.BeforeFirst(ctx, k.GroupVersionKind, d.wake)
	if err != nil || !asleep {
		d.wake() // an informer reports its errors itself
	}
	c.kinds.Store(k, d)
	return d
}
