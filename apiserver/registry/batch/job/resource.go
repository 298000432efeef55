// Package job serves batch/v1 Jobs.
//
// The API of this package is not stable: see docs/api.md.
package job

import (
	"context"
	"fmt"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/batch"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*batchv1.Job]{
		GVK:        batchv1.SchemeGroupVersion.WithKind("Job"),
		Plural:     "jobs",
		Categories: []string{"all"},
		New:        func() *batchv1.Job { return &batchv1.Job{} },
		NewList:    func() runtime.Object { return &batchv1.JobList{} },
		PrepareForCreate: func(_ context.Context, j *batchv1.Job) {
			batch.GenerateSelector(j)
			batch.DropDisabledFields(&j.Spec, nil)
		},
		PrepareForUpdate: func(_ context.Context, j, old *batchv1.Job) { batch.DropDisabledFields(&j.Spec, &old.Spec) },
		Validate:         registry.Pure(batch.ValidateJob),
		ValidateUpdate:   registry.PureUpdate(batch.ValidateJobUpdate),
		Warnings:         func(_ context.Context, j, old *batchv1.Job) []string { return batch.JobWarnings(j, old) },
		Fields: func(j *batchv1.Job) fields.Set {
			return fields.Set{"status.successful": strconv.Itoa(int(j.Status.Succeeded))}
		},
		Table:  table(),
		Status: &registry.Status[*batchv1.Job]{Validate: registry.PureUpdate(batch.ValidateJobStatusUpdate)},
		// batch/v1 keeps pods by default, alone among all kinds: it did so
		// before there was garbage collection.
		GarbageCollection: func(context.Context) rest.GarbageCollectionPolicy { return rest.OrphanDependents },
		Extend:            warnOfOrphans,
	}.Resource()
}

func table() *registry.Table[*batchv1.Job] {
	return &registry.Table[*batchv1.Job]{
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn(), registry.Column("Status"), registry.Column("Completions"), registry.Column("Duration"),
			registry.Column("Age"), registry.Wide(registry.Column("Containers")), registry.Wide(registry.Column("Images")),
			registry.Wide(registry.Column("Selector")),
		},
		Cells: func(j *batchv1.Job, now time.Time) []any {
			names, images := registry.Containers(j.Spec.Template.Spec.Containers)
			return []any{j.Name, phase(j), completions(j), lasted(j, now), registry.Age(j.CreationTimestamp, now),
				names, images, metav1.FormatLabelSelector(j.Spec.Selector)}
		},
	}
}

func phase(j *batchv1.Job) string {
	for _, t := range []batchv1.JobConditionType{batchv1.JobComplete, batchv1.JobFailed} {
		if batch.HasCondition(&j.Status, t) {
			return string(t)
		}
	}
	if j.DeletionTimestamp != nil {
		return "Terminating"
	}
	for _, t := range []batchv1.JobConditionType{batchv1.JobSuspended, batchv1.JobFailureTarget, batchv1.JobSuccessCriteriaMet} {
		if batch.HasCondition(&j.Status, t) {
			return string(t)
		}
	}
	return "Running"
}

func completions(j *batchv1.Job) string {
	if j.Spec.Completions != nil {
		return registry.Ratio(j.Status.Succeeded, *j.Spec.Completions)
	}
	if n := ptr.Deref(j.Spec.Parallelism, 0); n > 1 {
		return fmt.Sprintf("%d/1 of %d", j.Status.Succeeded, n)
	}
	return registry.Ratio(j.Status.Succeeded, 1)
}

func lasted(j *batchv1.Job, now time.Time) string {
	if j.Status.StartTime == nil {
		return ""
	}
	if j.Status.CompletionTime != nil {
		now = j.Status.CompletionTime.Time
	}
	return duration.HumanDuration(now.Sub(j.Status.StartTime.Time))
}

// orphanWarning is upstream's warning for a delete that names no propagation.
const orphanWarning = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning"

func warnOfOrphans(_ registry.Env, store *genericregistry.Store, storages map[string]rest.Storage) error {
	storages[""] = orphaning{registry.Wrapped{Store: store}}
	return nil
}

// orphaning warns of deletes that leave pods behind because of the default.
type orphaning struct{ registry.Wrapped }

func (o orphaning) warn(ctx context.Context, options *metav1.DeleteOptions) {
	if options != nil && options.PropagationPolicy == nil && options.OrphanDependents == nil {
		warning.AddWarning(ctx, "", orphanWarning)
	}
}

// Delete implements rest.GracefulDeleter.
func (o orphaning) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	o.warn(ctx, options)
	return o.Store.Delete(ctx, name, validate, options)
}

// DeleteCollection implements rest.CollectionDeleter.
func (o orphaning) DeleteCollection(ctx context.Context, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions, list *metainternalversion.ListOptions) (runtime.Object, error) {
	o.warn(ctx, options)
	return o.Store.DeleteCollection(ctx, validate, options, list)
}
