// Package deployment serves apps/v1 Deployments.
//
// The API of this package is not stable: see docs/api.md.
package deployment

import (
	"context"
	"maps"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/apps"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*appsv1.Deployment]{
		GVK:              appsv1.SchemeGroupVersion.WithKind("Deployment"),
		Plural:           "deployments",
		ShortNames:       []string{"deploy"},
		Categories:       []string{"all"},
		New:              func() *appsv1.Deployment { return &appsv1.Deployment{} },
		NewList:          func() runtime.Object { return &appsv1.DeploymentList{} },
		Validate:         registry.Pure(apps.ValidateDeployment),
		ValidateUpdate:   registry.PureUpdate(apps.ValidateDeploymentUpdate),
		PrepareForCreate: func(_ context.Context, d *appsv1.Deployment) { apps.DropDisabledFields(&d.Spec.Template, nil) },
		PrepareForUpdate: func(_ context.Context, d, old *appsv1.Deployment) {
			apps.DropDisabledFields(&d.Spec.Template, &old.Spec.Template)
		},
		// Annotations count: tools keep the wanted state in them.
		Counts: func(d, old *appsv1.Deployment) bool {
			return !equality.Semantic.DeepEqual(d.Spec, old.Spec) || !equality.Semantic.DeepEqual(d.Annotations, old.Annotations)
		},
		Warnings: func(_ context.Context, d, old *appsv1.Deployment) []string { return apps.DeploymentWarnings(d, old) },
		Table:    table(),
		Status: &registry.Status[*appsv1.Deployment]{
			Prepare:  prepareStatus,
			Resets:   [][]any{{"metadata", "labels"}},
			Validate: registry.PureUpdate(apps.ValidateDeploymentStatusUpdate),
		},
		Scale: &registry.Scale[*appsv1.Deployment]{
			Get: func(d *appsv1.Deployment) (int32, int32, string) {
				return ptr.Deref(d.Spec.Replicas, 1), d.Status.Replicas, registry.SelectorText(d.Spec.Selector)
			},
			Set: func(d *appsv1.Deployment, n int32) { d.Spec.Replicas = &n },
		},
	}.Resource()
}

// prepareStatus puts back what is no status: labels, and the revision to roll back to,
// which was a field of the spec in the groups before apps/v1 and lives on as an annotation.
func prepareStatus(_ context.Context, d, old *appsv1.Deployment) {
	d.Labels = old.Labels
	revision, ok := old.Annotations[appsv1.DeprecatedRollbackTo]
	if now, has := d.Annotations[appsv1.DeprecatedRollbackTo]; has == ok && now == revision {
		return
	}
	d.Annotations = maps.Clone(d.Annotations)
	if !ok {
		delete(d.Annotations, appsv1.DeprecatedRollbackTo)
		return
	}
	metav1.SetMetaDataAnnotation(&d.ObjectMeta, appsv1.DeprecatedRollbackTo, revision)
}

func table() *registry.Table[*appsv1.Deployment] {
	return &registry.Table[*appsv1.Deployment]{
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn(), registry.Column("Ready"), registry.Column("Up-to-date"), registry.Column("Available"),
			registry.Column("Age"), registry.Wide(registry.Column("Containers")), registry.Wide(registry.Column("Images")),
			registry.Wide(registry.Column("Selector")),
		},
		Cells: func(d *appsv1.Deployment, now time.Time) []any {
			names, images := registry.Containers(d.Spec.Template.Spec.Containers)
			return []any{d.Name, registry.Ratio(d.Status.ReadyReplicas, ptr.Deref(d.Spec.Replicas, 0)), int64(d.Status.UpdatedReplicas),
				int64(d.Status.AvailableReplicas), registry.Age(d.CreationTimestamp, now), names, images, registry.SelectorCell(d.Spec.Selector)}
		},
	}
}
