package cluster

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
func (c *dormantCache) List(ctx context.Context, out client.ObjectList, opts ...client.ListOption) error {
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
	d.synced.Store(false)
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
