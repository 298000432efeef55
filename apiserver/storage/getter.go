// Package storage opens the storage of each resource over one shared etcd client.
//
// The API of this package is not stable: see docs/api.md.
package storage

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/cacher"
	"k8s.io/apiserver/pkg/storage/etcd3"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
)

const (
	// Prefix begins the keys of all objects, as upstream has it.
	Prefix = "/registry"
	// compaction is the time for which old revisions are kept, upstream's default.
	compaction = 5 * time.Minute
	// history is the time for which a watch may resume from the cache.
	history = 75 * time.Second
)

// Getter implements generic.RESTOptionsGetter.
type Getter struct {
	// DeleteWorkers is how many objects of one deletecollection are deleted side by
	// side, of storages opened from now on.
	DeleteWorkers int

	newClient func() *kubernetes.Client
	client    *kubernetes.Client // the compactor's
	compactor interface {
		etcd3.Compactor
		Stop()
	}
	scheme       *runtime.Scheme
	serializer   runtime.StorageSerializer
	transformers value.ResourceTransformers // nil without encryption
	report       func(error)
	firsts       *firsts
	sizes        *sizes
}

// NewGetter serves storages until Stop. newClient makes the client of a
// storage, which closes it. report is called for each damaged object that keeps a
// watch cache from being filled, once.
func NewGetter(newClient func() *kubernetes.Client, scheme *runtime.Scheme, serializer runtime.StorageSerializer, report func(error)) *Getter {
	client := newClient()
	return &Getter{DeleteWorkers: 1, newClient: newClient, client: client, scheme: scheme, serializer: serializer, report: report, firsts: newFirsts(), sizes: newSizes(clock.RealClock{}),
		compactor: etcd3.NewCompactor(client.Client, compaction, clock.RealClock{}, nil)}
}

// Encrypt makes storages opened from now on pass what they store through t.
func (g *Getter) Encrypt(t value.ResourceTransformers) { g.transformers = t }

// Transformer encrypts and decrypts the objects of a resource, custom resources
// too. Without encryption it refuses to read what is encrypted.
func (g *Getter) Transformer(gr schema.GroupResource) value.Transformer {
	if g.transformers == nil {
		return identity.NewEncryptCheckTransformer()
	}
	return g.transformers.TransformerForResource(gr)
}

// Size estimates what is stored of a resource, named as schema.GroupResource is
// printed, if its storage is open. It implements the source of the work
// estimator's counts.
func (g *Getter) Size(resource string) (storage.Stats, error) { return g.sizes.get(resource) }

// Stop ends compaction. The openers of storages close them.
func (g *Getter) Stop() {
	g.compactor.Stop()
	g.client.Close()
}

// GetRESTOptions implements generic.RESTOptionsGetter.
func (g *Getter) GetRESTOptions(gr schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	gv, err := g.storageVersion(gr, example)
	if err != nil {
		return generic.RESTOptions{}, err
	}
	codec, versioner, err := serverstorage.NewStorageCodec(serverstorage.StorageCodecConfig{
		StorageMediaType:  runtime.ContentTypeProtobuf,
		StorageSerializer: g.serializer,
		StorageVersion:    gv,
		MemoryVersion:     schema.GroupVersion{Group: gv.Group, Version: runtime.APIVersionInternal},
	})
	if err != nil {
		return generic.RESTOptions{}, fmt.Errorf("making the storage codec of %s: %w", gr, err)
	}
	config := storagebackend.NewDefaultConfig(Prefix, codec)
	config.EncodeVersioner = versioner
	return generic.RESTOptions{
		StorageConfig:           config.ForResource(gr),
		Decorator:               g.open,
		EnableGarbageCollection: true,
		DeleteCollectionWorkers: g.DeleteWorkers,
		ResourcePrefix:          keyPrefix(gr),
	}, nil
}

// CustomResources opens storages of unstructured objects, kept as JSON. The
// caller wraps the codec.
func (g *Getter) CustomResources() generic.RESTOptionsGetter { return customResources{g} }

type customResources struct{ getter *Getter }

func (c customResources) GetRESTOptions(gr schema.GroupResource, _ runtime.Object) (generic.RESTOptions, error) {
	return generic.RESTOptions{
		StorageConfig:           storagebackend.NewDefaultConfig(Prefix, unstructured.UnstructuredJSONScheme).ForResource(gr),
		Decorator:               c.getter.openTyped,
		EnableGarbageCollection: true,
		DeleteCollectionWorkers: c.getter.DeleteWorkers,
		ResourcePrefix:          keyPrefix(gr),
	}, nil
}

func keyPrefix(gr schema.GroupResource) string {
	if gr.Group == "" {
		return gr.Resource
	}
	return gr.Group + "/" + gr.Resource
}

// Stored counts the objects that are kept of a resource, without opening it.
func (g *Getter) Stored(ctx context.Context, gr schema.GroupResource) (int64, error) {
	response, err := g.client.Client.Get(ctx, Prefix+"/"+keyPrefix(gr)+"/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return 0, fmt.Errorf("counting %s: %w", gr, err)
	}
	return response.Count, nil
}

// Each reads the objects that are kept of a resource, without opening it, until
// more is false.
func (g *Getter) Each(ctx context.Context, gr schema.GroupResource, see func(runtime.Object) (more bool)) error {
	options, err := g.GetRESTOptions(gr, nil)
	if err != nil {
		return err
	}
	response, err := g.client.Client.Get(ctx, Prefix+"/"+keyPrefix(gr)+"/", clientv3.WithPrefix())
	if err != nil {
		return fmt.Errorf("reading %s: %w", gr, err)
	}
	for _, kv := range response.Kvs {
		data, _, err := g.Transformer(gr).TransformFromStorage(ctx, kv.Value, value.DefaultContext(kv.Key))
		if err != nil {
			return fmt.Errorf("reading %s: %w", kv.Key, err)
		}
		obj, err := runtime.Decode(options.StorageConfig.Codec, data)
		if err != nil {
			return fmt.Errorf("reading %s: %w", kv.Key, err)
		}
		if !see(obj) {
			return nil
		}
	}
	return nil
}

// storageVersion returns the group's preferred version of those that the type of
// example is registered in; of all, if example is nil.
func (g *Getter) storageVersion(gr schema.GroupResource, example runtime.Object) (schema.GroupVersion, error) {
	versions := g.scheme.PrioritizedVersionsForGroup(gr.Group)
	if len(versions) == 0 {
		return schema.GroupVersion{}, fmt.Errorf("opening the storage of %s: the scheme has no version of group %q", gr, gr.Group)
	}
	if example != nil {
		kinds, _, err := g.scheme.ObjectKinds(example)
		if err != nil {
			return schema.GroupVersion{}, fmt.Errorf("opening the storage of %s: %w", gr, err)
		}
		for _, gv := range versions {
			if slices.ContainsFunc(kinds, func(k schema.GroupVersionKind) bool { return k.GroupVersion() == gv }) {
				return gv, nil
			}
		}
	}
	return versions[0], nil
}

// open implements generic.StorageDecorator: etcd below a watch cache.
func (g *Getter) open(config *storagebackend.ConfigForResource, prefix string,
	key func(runtime.Object) (string, error), newFunc, newListFunc func() runtime.Object,
	attrs storage.AttrFunc, trigger storage.IndexerFuncs, indexers *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {

	decoder := untyped{etcd3.NewDefaultDecoder(config.Codec, storage.APIObjectVersioner{})}
	return g.openWith(decoder, config, prefix, key, newFunc, newListFunc, attrs, trigger, indexers)
}

// openTyped is open for objects whose kind is part of them.
func (g *Getter) openTyped(config *storagebackend.ConfigForResource, prefix string,
	key func(runtime.Object) (string, error), newFunc, newListFunc func() runtime.Object,
	attrs storage.AttrFunc, trigger storage.IndexerFuncs, indexers *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {

	decoder := etcd3.NewDefaultDecoder(config.Codec, storage.APIObjectVersioner{})
	return g.openWith(decoder, config, prefix, key, newFunc, newListFunc, attrs, trigger, indexers)
}

func (g *Getter) openWith(decoder etcd3.Decoder, config *storagebackend.ConfigForResource, prefix string,
	key func(runtime.Object) (string, error), newFunc, newListFunc func() runtime.Object,
	attrs storage.AttrFunc, trigger storage.IndexerFuncs, indexers *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {

	versioner := storage.APIObjectVersioner{}
	client, clk := g.newClient(), newEndingClock()
	store, err := etcd3.New(client, g.compactor, config.Codec, newFunc, newListFunc, config.Prefix, prefix, config.GroupResource,
		etcd3.WithCorruptObjErrorHandlingTransformer(g.Transformer(config.GroupResource)), etcd3.NewDefaultLeaseManagerConfig(),
		etcd3.WithCorruptObjErrorHandlingDecoder(decoder), versioner)
	if err != nil {
		client.Close()
		return nil, nil, fmt.Errorf("opening the storage of %s: %w", config.GroupResource, err)
	}
	if uncached(config.GroupResource) {
		storage, destroy := g.bare(store, client, clk, config.GroupResource)
		return storage, destroy, nil
	}
	// An object that cannot be read can be deleted, by users with the right to do that.
	objects := etcd3.NewStoreWithUnsafeCorruptObjectDeletion(store, config.GroupResource)
	reporting := newReporting(objects, g.report)
	watchCache, err := cacher.NewCacherFromConfig(cacher.Config{
		Storage: reporting, Versioner: versioner, GroupResource: config.GroupResource, EventsHistoryWindow: history,
		ResourcePrefix: prefix, KeyFunc: key, NewFunc: newFunc, NewListFunc: newListFunc,
		GetAttrsFunc: attrs, IndexerFuncs: trigger, Indexers: indexers, Codec: config.Codec,
		Clock: eager{clk},
	})
	if err != nil {
		store.Close()
		client.Close()
		return nil, nil, fmt.Errorf("opening the watch cache of %s: %w", config.GroupResource, err)
	}
	delegator := cacher.NewCacheDelegator(watchCache, objects)
	forget := g.sizes.add(config.GroupResource.String(), objects)
	var once sync.Once
	destroy := func() {
		once.Do(func() {
			forget()
			delegator.Stop()
			watchCache.Stop()
			clk.stop()
			store.Close()
			client.Close()
			clk.stop()
		})
	}
	return waiter{Interface: asked{delegator}, ready: reporting.unlessDamaged(watchCache.Wait), first: g.firsts.of(config.GroupResource)}, destroy, nil
}

// uncached resources have no watch cache. Events have none upstream either: they
// are many, are written once and hardly ever read. Leases are written over and
// over, and watched by the node lifecycle controller alone: the versions that a
// watch cache keeps for watches to resume at, and its index as of each of them,
// are a hundred megabytes with the leases of 5,000 nodes.
func uncached(gr schema.GroupResource) bool {
	return gr == schema.GroupResource{Resource: "events"} || gr == schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}
}

// bare returns a storage without a watch cache.
func (g *Getter) bare(store bareStore, client *kubernetes.Client, clk *endingClock, gr schema.GroupResource) (storage.Interface, factory.DestroyFunc) {
	forget := g.sizes.add(gr.String(), store)
	var once sync.Once
	destroy := func() {
		once.Do(func() {
			forget()
			store.Close()
			client.Close()
			clk.stop()
		})
	}
	return waiter{Interface: asked{etcd3.NewStoreWithUnsafeCorruptObjectDeletion(store, gr)}, first: g.firsts.of(gr)}, destroy
}

type bareStore interface {
	storage.Interface
	Close()
}

// Waiter is a storage that can wait for its watch cache.
type Waiter interface {
	// Wait blocks until the watch cache has read what is stored.
	Wait(ctx context.Context) error
	// Cached reports whether there is a watch cache.
	Cached() bool
}

type waiter struct {
	storage.Interface
	ready func(context.Context) error // nil without a watch cache
	first *first
}

func (w waiter) Wait(ctx context.Context) error {
	if w.ready == nil {
		return nil
	}
	return w.ready(ctx)
}

func (w waiter) Cached() bool { return w.ready != nil }

// untyped clears kind and version of decoded objects: hub and wire types are
// the same Go types here, so the stock decoder would leave them on list items,
// where clients do not expect them.
type untyped struct{ etcd3.Decoder }

func (u untyped) Decode(value []byte, obj runtime.Object, rev int64) error {
	err := u.Decoder.Decode(value, obj, rev)
	if err == nil {
		obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	}
	return err
}

func (u untyped) DecodeListItem(ctx context.Context, data []byte, rev uint64, newItem func() runtime.Object) (runtime.Object, error) {
	obj, err := u.Decoder.DecodeListItem(ctx, data, rev, newItem)
	if err == nil {
		obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	}
	return obj, err
}
