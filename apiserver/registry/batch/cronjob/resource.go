// Package cronjob serves batch/v1 CronJobs.
//
// The API of this package is not stable: see docs/api.md.
package cronjob

import (
	"context"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/batch"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*batchv1.CronJob]{
		GVK:        batchv1.SchemeGroupVersion.WithKind("CronJob"),
		Plural:     "cronjobs",
		ShortNames: []string{"cj"},
		Categories: []string{"all"},
		New:        func() *batchv1.CronJob { return &batchv1.CronJob{} },
		NewList:    func() runtime.Object { return &batchv1.CronJobList{} },
		PrepareForCreate: func(_ context.Context, c *batchv1.CronJob) {
			batch.DropDisabledFields(&c.Spec.JobTemplate.Spec, nil)
		},
		PrepareForUpdate: func(_ context.Context, c, old *batchv1.CronJob) {
			batch.DropDisabledFields(&c.Spec.JobTemplate.Spec, &old.Spec.JobTemplate.Spec)
		},
		Validate:       registry.Pure(batch.ValidateCronJob),
		ValidateUpdate: registry.PureUpdate(batch.ValidateCronJobUpdate),
		Warnings:       func(_ context.Context, c, old *batchv1.CronJob) []string { return batch.CronJobWarnings(c, old) },
		Table:          table(),
		Status:         &registry.Status[*batchv1.CronJob]{AnyFinalizer: true, Validate: registry.PureUpdate(batch.ValidateCronJobStatusUpdate)},
	}.Resource()
}

func table() *registry.Table[*batchv1.CronJob] {
	return &registry.Table[*batchv1.CronJob]{
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn(), registry.Column("Schedule"), registry.Column("Timezone"), {Name: "Suspend", Type: "boolean"},
			registry.Integer("Active"), registry.Column("Last Schedule"), registry.Column("Age"),
			registry.Wide(registry.Column("Containers")), registry.Wide(registry.Column("Images")), registry.Wide(registry.Column("Selector")),
		},
		Cells: func(c *batchv1.CronJob, now time.Time) []any {
			spec, last := &c.Spec.JobTemplate.Spec, registry.None
			if c.Status.LastScheduleTime != nil {
				last = registry.Age(*c.Status.LastScheduleTime, now)
			}
			names, images := registry.Containers(spec.Template.Spec.Containers)
			return []any{c.Name, c.Spec.Schedule, ptr.Deref(c.Spec.TimeZone, registry.None), suspended(c.Spec.Suspend), int64(len(c.Status.Active)),
				last, registry.Age(c.CreationTimestamp, now), names, images, metav1.FormatLabelSelector(spec.Selector)}
		},
	}
}

// suspended returns upstream's cell of a *bool.
func suspended(b *bool) string {
	switch {
	case b == nil:
		return "<unset>"
	case *b:
		return "True"
	}
	return "False"
}
