package registry

import (
	"context"
	"strings"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/client-go/tools/cache"
)

// Object is a Kubernetes API object.
type Object interface {
	runtime.Object
	metav1.Object
}

// Kind describes a stored resource by functions over its Go type T, a pointer
// such as *corev1.Pod. Functions that are nil do nothing.
//
// What Kind does by itself: a create drops status and sets generation 1 (kinds
// that have a Spec field); an update keeps the stored status and counts
// generation up when the spec changed or what Counts reports; the status
// subresource keeps everything but status; server-side apply ignores the same
// fields.
type Kind[T Object] struct {
	GVK                    schema.GroupVersionKind
	Plural, Singular       string
	ShortNames, Categories []string
	ClusterScoped          bool
	// OtherVersions of the group serve the same stored objects, converted by the
	// scheme. Each becomes a resource in Others.
	OtherVersions []string
	// Gate is the feature gate without which the kind is not served; "" for none.
	Gate string
	// New and NewList return empty objects.
	New     func() T
	NewList func() runtime.Object

	// PrepareForCreate and PrepareForUpdate run after defaulting, before
	// validation.
	PrepareForCreate func(ctx context.Context, obj T)
	PrepareForUpdate func(ctx context.Context, obj, old T)
	// Validate must be given and validates metadata too: names are special to kinds.
	Validate func(ctx context.Context, obj T) field.ErrorList
	// ValidateUpdate must be given; it is called after Validate's fields were
	// checked only if it does so itself.
	ValidateUpdate func(ctx context.Context, obj, old T) field.ErrorList
	// Warnings of a create (old is nil, the zero T) or update.
	Warnings     func(ctx context.Context, obj, old T) []string
	Canonicalize func(obj T)

	// StatusOnCreate keeps the status a create brings: nodes register with theirs.
	StatusOnCreate bool
	// NoGeneration is set if metadata.generation is not kept for this kind.
	NoGeneration bool
	// Counts reports whether an update counts generation up; nil compares the specs.
	// It is called after PrepareForUpdate.
	Counts func(obj, old T) bool
	// GenerateName makes a name of metadata.generateName; nil appends five random
	// characters.
	GenerateName func(base string) string
	// AnyFinalizer allows finalizers that are neither Kubernetes' own nor have a
	// domain; upstream's validation of some kinds does not look.
	AnyFinalizer bool
	// AllowCreateOnUpdate makes PUT to a missing name a create.
	AllowCreateOnUpdate bool
	// RequireResourceVersion refuses updates without one.
	RequireResourceVersion bool
	// ReturnDeleted answers a delete with the object that was deleted, not with a
	// Status; upstream differs by kind.
	ReturnDeleted bool
	// OthersReturnDeleted does the same in OtherVersions alone.
	OthersReturnDeleted bool

	// Fields are the selectable fields besides metadata.name and
	// metadata.namespace.
	Fields func(obj T) fields.Set
	// IndexedFields (subset of Fields) get an index in the watch cache, and
	// watches that select one are triggered by its value: spec.nodeName of pods.
	IndexedFields []string

	// Table has the columns of kubectl get; nil gives name and age.
	Table *Table[T]

	// Status is nil for kinds without the status subresource.
	Status *Status[T]
	// Scale is nil for kinds without the scale subresource.
	Scale *Scale[T]

	// GarbageCollection is the propagation when a delete names none; the zero
	// value is background. For orphan see upstream's batch/v1 jobs and core
	// ReplicationController.
	GarbageCollection func(ctx context.Context) rest.GarbageCollectionPolicy
	// CheckGracefulDelete sets options.GracePeriodSeconds and reports whether the
	// delete is graceful.
	CheckGracefulDelete func(ctx context.Context, obj T, options *metav1.DeleteOptions) bool

	// Configure changes settings of the store before status and scale are made
	// of it, which then have them too.
	Configure func(store *genericregistry.Store)
	// Extend has the last word on the store and adds subresource storages to
	// those Kind makes; each must be declared in Subresources.
	Extend       func(env Env, store *genericregistry.Store, storages map[string]rest.Storage) error
	Subresources []Subresource
}

// Status is the status subresource of T.
type Status[T Object] struct {
	// Prepare runs after everything but status and metadata was put back.
	Prepare func(ctx context.Context, obj, old T)
	// Validate must be given.
	Validate func(ctx context.Context, obj, old T) field.ErrorList
	// Warnings of an update.
	Warnings func(ctx context.Context, obj, old T) []string
	// Resets are the fields that Prepare puts back besides the spec, each a path
	// such as {"metadata", "labels"}: server-side apply does not claim them.
	Resets [][]any
	// KeepMetadata puts labels, annotations, finalizers and owners back too;
	// upstream differs by kind (older kinds may change all of them by status).
	KeepMetadata bool
	// AnyFinalizer accepts finalizers of a single word, where upstream checks the
	// status alone.
	AnyFinalizer bool
}

// Resource gives the server's view of the kind.
func (k Kind[T]) Resource() *Resource {
	r := k.resource()
	for _, version := range k.OtherVersions {
		r.Others = append(r.Others, k.in(version))
	}
	return r
}

func (k Kind[T]) resource() *Resource {
	r := &Resource{
		GVK: k.GVK, Gate: k.Gate, Plural: k.Plural, Singular: k.singular(),
		ShortNames: k.ShortNames, Categories: k.Categories, ClusterScoped: k.ClusterScoped,
		Verbs: []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"},
	}
	if k.Status != nil {
		r.Subresources = append(r.Subresources, Subresource{Name: "status", GVK: k.GVK, Verbs: []string{"get", "patch", "update"}})
	}
	if k.Scale != nil {
		r.Subresources = append(r.Subresources, Subresource{Name: "scale", GVK: autoscalingv1.SchemeGroupVersion.WithKind("Scale"), Verbs: []string{"get", "patch", "update"}})
	}
	r.Subresources = append(r.Subresources, k.Subresources...)
	r.Build = k.build
	return r
}

// in gives the server's view of the kind in another version of its group: the
// same storage, by conversions that the scheme has.
func (k Kind[T]) in(version string) *Resource {
	r := k.resource()
	stored := k.GVK
	r.GVK, r.StoredAs = schema.GroupVersionKind{Group: stored.Group, Version: version, Kind: stored.Kind}, &stored
	for i := range r.Subresources {
		if r.Subresources[i].GVK == stored {
			r.Subresources[i].GVK = r.GVK
		}
	}
	r.Build = func(env Env) (map[string]rest.Storage, error) {
		store, err := env.Store(schema.GroupResource{Group: k.GVK.Group, Resource: k.Plural})
		if err != nil {
			return nil, err
		}
		shared := *store
		shared.DestroyFunc = func() {} // the store is closed by its opener
		shared.ReturnDeletedObject = shared.ReturnDeletedObject || k.OthersReturnDeleted
		return k.storages(env, &shared)
	}
	return r
}

func (k Kind[T]) singular() string {
	if k.Singular != "" {
		return k.Singular
	}
	return strings.ToLower(k.GVK.Kind)
}

func (k Kind[T]) build(env Env) (map[string]rest.Storage, error) {
	s := newStrategy(k, env.Scheme)
	store := &genericregistry.Store{
		NewFunc:                   func() runtime.Object { return k.New() },
		NewListFunc:               k.NewList,
		DefaultQualifiedResource:  schema.GroupResource{Group: k.GVK.Group, Resource: k.Plural},
		SingularQualifiedResource: schema.GroupResource{Group: k.GVK.Group, Resource: k.singular()},
		CreateStrategy:            s,
		UpdateStrategy:            s,
		DeleteStrategy:            k.deleteStrategy(s),
		ReturnDeletedObject:       k.ReturnDeleted,
		ResetFieldsStrategy:       s,
		TableConvertor:            k.Table.convertor(k.GVK, k.Plural, env.Clock),
		PredicateFunc: func(label labels.Selector, field fields.Selector) storage.SelectionPredicate {
			return storage.SelectionPredicate{Label: label, Field: field, GetAttrs: k.attrs, IndexFields: k.IndexedFields}
		},
	}
	options := &generic.StoreOptions{RESTOptions: env.RESTOptions, AttrFunc: k.attrs}
	if len(k.IndexedFields) > 0 {
		options.TriggerFunc, options.Indexers = k.indexes()
	}
	if err := store.CompleteWithOptions(options); err != nil {
		return nil, err
	}
	if k.Configure != nil {
		k.Configure(store)
	}
	return k.storages(env, store)
}

func (k Kind[T]) storages(env Env, store *genericregistry.Store) (map[string]rest.Storage, error) {
	s := newStrategy(k, env.Scheme)
	storages := map[string]rest.Storage{"": &objectStorage{Store: store, shortNames: k.ShortNames, categories: k.Categories}}
	if k.Status != nil {
		storages["status"] = newStatusStorage(store, statusStrategy[T]{s})
	}
	if k.Scale != nil {
		storages["scale"] = &scaleStorage[T]{store: store, scale: *k.Scale, gvk: k.GVK}
	}
	if k.Extend != nil {
		if err := k.Extend(env, store, storages); err != nil {
			return nil, err
		}
	}
	for _, storage := range storages {
		if sub, ok := storage.(*StatusStorage); ok {
			// An update of the status deletes an object whose last finalizer it takes.
			sub.store.AfterDelete = store.AfterDelete
		}
	}
	return storages, nil
}

func (k Kind[T]) fieldSet(obj T) fields.Set {
	// The watch cache keeps one of each version of an object: no larger map than needed.
	set := fields.Set{}
	if k.Fields != nil {
		set = k.Fields(obj)
	}
	set["metadata.name"] = obj.GetName()
	if !k.ClusterScoped {
		set["metadata.namespace"] = obj.GetNamespace()
	}
	return set
}

func (k Kind[T]) attrs(obj runtime.Object) (labels.Set, fields.Set, error) {
	o, ok := obj.(T)
	if !ok {
		return nil, nil, unexpected[T](obj)
	}
	return o.GetLabels(), k.fieldSet(o), nil
}

func (k Kind[T]) indexes() (storage.IndexerFuncs, *cache.Indexers) {
	trigger, indexers := storage.IndexerFuncs{}, cache.Indexers{}
	for i, name := range k.IndexedFields {
		value := func(obj runtime.Object) string {
			if o, ok := obj.(T); ok {
				return k.Fields(o)[name]
			}
			return ""
		}
		// The watch cache supports one trigger; the others are plain indexes.
		if i == 0 {
			trigger[name] = value
		}
		indexers[storage.FieldIndex(name)] = func(obj interface{}) ([]string, error) {
			if o, ok := obj.(T); ok {
				return []string{k.Fields(o)[name]}, nil
			}
			return nil, nil
		}
	}
	return trigger, &indexers
}
