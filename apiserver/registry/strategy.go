package registry

import (
	"context"
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/operation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/names"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	corevalidation "github.com/coracle-k8s/coracle/apis/core/validation"
)

// strategy is the create and update strategy that Kind describes. It finds the
// Spec and Status fields of T once, by name, as every Kubernetes type has them.
type strategy[T Object] struct {
	*runtime.Scheme
	names.NameGenerator
	reportsOnce
	kind         Kind[T]
	spec, status []int // field index, nil when T has none
}

func newStrategy[T Object](k Kind[T], scheme *runtime.Scheme) strategy[T] {
	s := strategy[T]{Scheme: scheme, NameGenerator: names.SimpleNameGenerator, kind: k}
	t := reflect.TypeOf(k.New()).Elem()
	if f, ok := t.FieldByName("Spec"); ok {
		s.spec = f.Index
	}
	if f, ok := t.FieldByName("Status"); ok && f.Type.Kind() == reflect.Struct {
		s.status = f.Index
	}
	return s
}

func part(obj any, index []int) reflect.Value { return reflect.ValueOf(obj).Elem().FieldByIndex(index) }

func (s strategy[T]) NamespaceScoped() bool { return !s.kind.ClusterScoped }

func (s strategy[T]) PrepareForCreate(ctx context.Context, obj runtime.Object) {
	o := obj.(T)
	if s.kind.Status != nil && s.status != nil && !s.kind.StatusOnCreate {
		part(o, s.status).SetZero()
	}
	if s.spec != nil && !s.kind.NoGeneration {
		o.SetGeneration(1)
	}
	if s.kind.PrepareForCreate != nil {
		s.kind.PrepareForCreate(ctx, o)
	}
}

func (s strategy[T]) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	o, was := obj.(T), old.(T)
	if s.kind.Status != nil && s.status != nil {
		part(o, s.status).Set(part(was, s.status))
	}
	if s.kind.PrepareForUpdate != nil {
		s.kind.PrepareForUpdate(ctx, o, was)
	}
	if s.spec != nil && !s.kind.NoGeneration {
		o.SetGeneration(was.GetGeneration())
		if s.counts(o, was) {
			o.SetGeneration(was.GetGeneration() + 1)
		}
	}
}

func (s strategy[T]) counts(obj, old T) bool {
	if s.kind.Counts != nil {
		return s.kind.Counts(obj, old)
	}
	return !equality.Semantic.DeepEqual(part(obj, s.spec).Interface(), part(old, s.spec).Interface())
}

// GenerateName implements names.NameGenerator.
func (s strategy[T]) GenerateName(base string) string {
	if s.kind.GenerateName != nil {
		return s.kind.GenerateName(base)
	}
	return s.NameGenerator.GenerateName(base)
}

func (s strategy[T]) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	return append(s.kind.Validate(ctx, obj.(T)), s.finalizers(obj.(T))...)
}

func (s strategy[T]) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	return append(s.kind.ValidateUpdate(ctx, obj.(T), old.(T)), s.finalizers(obj.(T))...)
}

// reportsOnce implements rest.DeclarativeValidationStrategy. Nothing is declared here.
// The library hands it the errors of all metadata, which it checks besides the kind's
// own, and it reports each once.
type reportsOnce struct{}

// ValidateDeclaratively implements rest.DeclarativeValidationStrategy.
func (reportsOnce) ValidateDeclaratively(_ context.Context, _, _ runtime.Object, errs field.ErrorList, _ operation.Type, _ rest.DeclarativeValidationConfig) field.ErrorList {
	return once(errs)
}

// DeclarativeValidationConfig implements rest.DeclarativeValidationStrategy.
func (reportsOnce) DeclarativeValidationConfig(context.Context, runtime.Object, runtime.Object) rest.DeclarativeValidationConfig {
	return rest.DeclarativeValidationConfig{}
}

// ReportOnce returns s with a ValidateDeclaratively that reports each error once.
// A strategy that embeds an interface loses that method.
func ReportOnce(s rest.RESTUpdateStrategy) rest.RESTUpdateStrategy {
	if _, ok := s.(rest.DeclarativeValidationStrategy); ok {
		return s
	}
	return updated{RESTUpdateStrategy: s}
}

type updated struct {
	rest.RESTUpdateStrategy
	reportsOnce
}

// Created is a strategy for new objects that reports each error once. Wrappers embed
// it for the same reason.
type Created struct {
	rest.RESTCreateStrategy
	reportsOnce
}

// once drops duplicate errors, as upstream does where it merges declarative
// validation with what is written by hand.
func once(errs field.ErrorList) field.ErrorList {
	if len(errs) < 2 {
		return errs
	}
	return errs.Filter(func(error) bool { return false })
}

func (s strategy[T]) finalizers(obj T) field.ErrorList {
	if s.kind.AnyFinalizer {
		return nil
	}
	return StandardFinalizers(obj)
}

// StandardFinalizers validates the finalizers of an object of most kinds.
func StandardFinalizers(obj metav1.Object) (errs field.ErrorList) {
	for i, name := range obj.GetFinalizers() {
		errs = append(errs, corevalidation.StandardFinalizer(field.NewPath("metadata", "finalizers").Index(i), name)...)
	}
	return errs
}

func (s strategy[T]) WarningsOnCreate(ctx context.Context, obj runtime.Object) []string {
	if s.kind.Warnings == nil {
		return nil
	}
	var none T
	return s.kind.Warnings(ctx, obj.(T), none)
}

func (s strategy[T]) WarningsOnUpdate(ctx context.Context, obj, old runtime.Object) []string {
	if s.kind.Warnings == nil {
		return nil
	}
	return s.kind.Warnings(ctx, obj.(T), old.(T))
}

func (s strategy[T]) Canonicalize(obj runtime.Object) {
	if s.kind.Canonicalize != nil {
		s.kind.Canonicalize(obj.(T))
	}
}

func (s strategy[T]) AllowCreateOnUpdate(context.Context) bool { return s.kind.AllowCreateOnUpdate }
func (s strategy[T]) AllowUnconditionalUpdate(context.Context) bool {
	return !s.kind.RequireResourceVersion
}

func (s strategy[T]) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	if s.kind.Status == nil {
		return nil
	}
	return s.reset([]any{"status"})
}

func (s strategy[T]) reset(paths ...[]any) map[fieldpath.APIVersion]*fieldpath.Set {
	set := fieldpath.NewSet()
	for _, path := range paths {
		set.Insert(fieldpath.MakePathOrDie(path...))
	}
	sets := map[fieldpath.APIVersion]*fieldpath.Set{fieldpath.APIVersion(s.kind.GVK.GroupVersion().String()): set}
	for _, version := range s.kind.OtherVersions {
		sets[fieldpath.APIVersion(s.kind.GVK.Group+"/"+version)] = set
	}
	return sets
}

// statusStrategy updates only the status.
type statusStrategy[T Object] struct{ strategy[T] }

func (s statusStrategy[T]) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	o, was := obj.(T), old.(T)
	kept, now := reflect.ValueOf(was.DeepCopyObject()).Elem(), reflect.ValueOf(o).Elem()
	for i := range now.NumField() {
		if name := now.Type().Field(i).Name; name != "Status" && name != "ObjectMeta" {
			now.Field(i).Set(kept.Field(i))
		}
	}
	if s.kind.Status.KeepMetadata {
		metav1.ResetObjectMetaForStatus(o, was)
	}
	if s.kind.Status.Prepare != nil {
		s.kind.Status.Prepare(ctx, o, was)
	}
}

// PutMetadataBack is a Status.Prepare that keeps all metadata of old but the
// managed fields, its UID and resource version among them.
func PutMetadataBack[T Object](_ context.Context, obj, old T) {
	now, was := metadata(obj), metadata(old)
	managers := now.ManagedFields
	*now = *was.DeepCopy()
	now.ManagedFields = managers
}

// metadata returns the metadata of a kind of k8s.io/api, which embeds it.
func metadata(obj metav1.Object) *metav1.ObjectMeta {
	return obj.(metav1.ObjectMetaAccessor).GetObjectMeta().(*metav1.ObjectMeta)
}

func (s statusStrategy[T]) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	errs := s.kind.Status.Validate(ctx, obj.(T), old.(T))
	if s.kind.Status.KeepMetadata || s.kind.Status.AnyFinalizer {
		return errs
	}
	return append(errs, s.finalizers(obj.(T))...)
}

func (s statusStrategy[T]) WarningsOnUpdate(ctx context.Context, obj, old runtime.Object) []string {
	if s.kind.Status.Warnings == nil {
		return nil
	}
	return s.kind.Status.Warnings(ctx, obj.(T), old.(T))
}

func (s statusStrategy[T]) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	paths := append([][]any{{"spec"}}, s.kind.Status.Resets...)
	if s.kind.Status.KeepMetadata {
		paths = append(paths, []any{"metadata"})
	}
	return s.reset(paths...)
}

// The interfaces a delete strategy implements change what the store does, so a
// kind gets only those it asked for.
type (
	gcStrategy[T Object]       struct{ strategy[T] }
	gracefulStrategy[T Object] struct{ strategy[T] }
)

func (k Kind[T]) deleteStrategy(s strategy[T]) rest.RESTDeleteStrategy {
	switch {
	case k.CheckGracefulDelete != nil:
		return gracefulStrategy[T]{s}
	case k.GarbageCollection != nil:
		return gcStrategy[T]{s}
	}
	return s
}

func (s gcStrategy[T]) DefaultGarbageCollectionPolicy(ctx context.Context) rest.GarbageCollectionPolicy {
	return s.kind.GarbageCollection(ctx)
}

func (s gracefulStrategy[T]) CheckGracefulDelete(ctx context.Context, obj runtime.Object, options *metav1.DeleteOptions) bool {
	return s.kind.CheckGracefulDelete(ctx, obj.(T), options)
}

func unexpected[T any](obj runtime.Object) error {
	var want T
	return fmt.Errorf("reading a stored object: got %T, expected %T", obj, want)
}
