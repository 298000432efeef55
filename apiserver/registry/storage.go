package registry

import (
	"context"
	"fmt"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// objectStorage serves the resource itself.
type objectStorage struct {
	*genericregistry.Store
	shortNames, categories []string
}

func (s *objectStorage) ShortNames() []string { return s.shortNames }
func (s *objectStorage) Categories() []string { return s.categories }

// UnderlyingStore returns the store for StoreOf.
func (s *objectStorage) UnderlyingStore() *genericregistry.Store { return s.Store }

// StoreOf returns the store behind a resource's own storage, nil if it stores
// nothing. A storage that Extend puts in place of Kind's returns it by a method
// UnderlyingStore; embedding Wrapped gives it one.
func StoreOf(s rest.Storage) *genericregistry.Store {
	if o, ok := s.(interface{ UnderlyingStore() *genericregistry.Store }); ok {
		return o.UnderlyingStore()
	}
	return nil
}

// Wrapped is for storages that change some methods of a store.
type Wrapped struct{ *genericregistry.Store }

// UnderlyingStore returns the store for StoreOf.
func (w Wrapped) UnderlyingStore() *genericregistry.Store { return w.Store }

// StatusStorage serves status or another subresource that is the whole object
// under a different update strategy (finalize, approval, ephemeralcontainers).
type StatusStorage struct{ store *genericregistry.Store }

// NewSubStorage serves the objects of store under another update strategy.
func NewSubStorage(store *genericregistry.Store, s interface {
	rest.RESTUpdateStrategy
	rest.ResetFieldsStrategy
}) *StatusStorage {
	sub := *store
	sub.UpdateStrategy = ReportOnce(s)
	sub.ResetFieldsStrategy = s
	return &StatusStorage{store: &sub}
}

func newStatusStorage[T Object](store *genericregistry.Store, s statusStrategy[T]) *StatusStorage {
	return NewSubStorage(store, s)
}

// New returns an empty object.
func (s *StatusStorage) New() runtime.Object { return s.store.New() }

// Destroy does nothing: the store belongs to the resource.
func (s *StatusStorage) Destroy() {}

// Get returns the whole object.
func (s *StatusStorage) Get(ctx context.Context, name string, o *metav1.GetOptions) (runtime.Object, error) {
	return s.store.Get(ctx, name, o)
}

// Update never creates.
func (s *StatusStorage) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc,
	update rest.ValidateObjectUpdateFunc, _ bool, o *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return s.store.Update(ctx, name, info, create, update, false, o)
}

// GetResetFields returns the fields that the strategy does not let a client change.
func (s *StatusStorage) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return s.store.GetResetFields()
}

// ConvertToTable shows the object as the resource does.
func (s *StatusStorage) ConvertToTable(ctx context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	return s.store.ConvertToTable(ctx, obj, options)
}

// Scale is the scale subresource of T.
type Scale[T Object] struct {
	// Get returns wanted and current replicas and the selector in its text form.
	Get func(obj T) (spec, status int32, selector string)
	// Set changes the wanted replicas.
	Set func(obj T, replicas int32)
}

type scaleStorage[T Object] struct {
	store *genericregistry.Store
	scale Scale[T]
	gvk   schema.GroupVersionKind
}

func (s *scaleStorage[T]) New() runtime.Object { return &autoscalingv1.Scale{} }
func (s *scaleStorage[T]) Destroy()            {}
func (s *scaleStorage[T]) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return autoscalingv1.SchemeGroupVersion.WithKind("Scale")
}

func (s *scaleStorage[T]) ConvertToTable(ctx context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	return scaleTable().Convertor(clock.RealClock{}).ConvertToTable(ctx, obj, options)
}

func scaleTable() *Table[*autoscalingv1.Scale] {
	return &Table[*autoscalingv1.Scale]{
		Columns: []metav1.TableColumnDefinition{Column("Name"), Integer("Desired"), Integer("Available"), Column("Age")},
		Cells: func(s *autoscalingv1.Scale, now time.Time) []any {
			return []any{s.Name, int64(s.Spec.Replicas), int64(s.Status.Replicas), Age(s.CreationTimestamp, now)}
		},
	}
}

func (s *scaleStorage[T]) of(obj T) *autoscalingv1.Scale {
	spec, status, selector := s.scale.Get(obj)
	return &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: obj.GetName(), Namespace: obj.GetNamespace(), UID: obj.GetUID(),
			ResourceVersion: obj.GetResourceVersion(), CreationTimestamp: obj.GetCreationTimestamp()},
		Spec:   autoscalingv1.ScaleSpec{Replicas: spec},
		Status: autoscalingv1.ScaleStatus{Replicas: status, Selector: selector},
	}
}

func (s *scaleStorage[T]) Get(ctx context.Context, name string, o *metav1.GetOptions) (runtime.Object, error) {
	obj, err := s.store.Get(ctx, name, o)
	if err != nil {
		return nil, err
	}
	return s.of(obj.(T)), nil
}

func (s *scaleStorage[T]) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc,
	update rest.ValidateObjectUpdateFunc, _ bool, o *metav1.UpdateOptions) (runtime.Object, bool, error) {
	inner := &scaleUpdate[T]{s: s, name: name, info: info, validate: update}
	obj, _, err := s.store.Update(ctx, name, inner, create, func(context.Context, runtime.Object, runtime.Object) error { return nil }, false, o)
	if err != nil {
		return nil, false, err
	}
	return s.of(obj.(T)), false, nil
}

// scaleUpdate turns an update of a Scale into one of the object.
type scaleUpdate[T Object] struct {
	s        *scaleStorage[T]
	name     string
	info     rest.UpdatedObjectInfo
	validate rest.ValidateObjectUpdateFunc
}

func (u *scaleUpdate[T]) Preconditions() *metav1.Preconditions { return u.info.Preconditions() }

func (u *scaleUpdate[T]) UpdatedObject(ctx context.Context, current runtime.Object) (runtime.Object, error) {
	obj, ok := current.DeepCopyObject().(T)
	if !ok {
		return nil, unexpected[T](current)
	}
	resource := u.s.store.DefaultQualifiedResource
	resource.Resource += "/scale"
	if obj.GetResourceVersion() == "" {
		return nil, apierrors.NewNotFound(resource, u.name)
	}
	var err error
	was := u.s.of(obj)
	owners := u.s.owners(obj)
	if was.ManagedFields, err = owners.ToSubresource(); err != nil {
		return nil, fmt.Errorf("reading the managed fields of %s: %w", u.name, err)
	}
	updated, err := u.info.UpdatedObject(ctx, was.DeepCopy())
	if err != nil {
		return nil, err
	}
	scale, ok := updated.(*autoscalingv1.Scale)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("expected a Scale, got %T", updated))
	}
	if errs := validateScale(scale); len(errs) > 0 {
		return nil, apierrors.NewInvalid(autoscalingv1.SchemeGroupVersion.WithKind("Scale").GroupKind(), u.name, errs)
	}
	if err := u.validate(ctx, scale, was); err != nil {
		return nil, err
	}
	if scale.UID != "" && scale.UID != obj.GetUID() {
		return nil, apierrors.NewConflict(resource, u.name,
			fmt.Errorf("Precondition failed: UID in precondition: %v, UID in object meta: %v", scale.UID, obj.GetUID()))
	}
	u.s.scale.Set(obj, scale.Spec.Replicas)
	managed, err := owners.ToParent(scale.ManagedFields)
	if err != nil {
		return nil, fmt.Errorf("merging the managed fields of %s: %w", u.name, err)
	}
	obj.SetManagedFields(managed)
	if scale.ResourceVersion != "" {
		obj.SetResourceVersion(scale.ResourceVersion)
	}
	return obj, nil
}

// owners translates the managers of the replicas between the object and its Scale.
func (s *scaleStorage[T]) owners(obj T) *managedfields.ScaleHandler {
	version := s.gvk.GroupVersion()
	return managedfields.NewScaleHandler(obj.GetManagedFields(), version, managedfields.ResourcePathMappings{
		version.String(): fieldpath.MakePathOrDie("spec", "replicas"),
	})
}

func validateScale(scale *autoscalingv1.Scale) field.ErrorList {
	var errs field.ErrorList
	errs = append(errs, metavalidation.ValidateManagedFields(scale.ManagedFields, field.NewPath("metadata", "managedFields"))...)
	if scale.Spec.Replicas < 0 {
		errs = append(errs, field.Invalid(field.NewPath("spec", "replicas"), scale.Spec.Replicas, "must be greater than or equal to 0"))
	}
	return errs
}
