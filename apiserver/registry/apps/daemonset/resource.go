// Package daemonset serves apps/v1 DaemonSets.
package daemonset

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/apps"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*appsv1.DaemonSet]{
		GVK:              appsv1.SchemeGroupVersion.WithKind("DaemonSet"),
		Plural:           "daemonsets",
		ShortNames:       []string{"ds"},
		Categories:       []string{"all"},
		New:              func() *appsv1.DaemonSet { return &appsv1.DaemonSet{} },
		NewList:          func() runtime.Object { return &appsv1.DaemonSetList{} },
		Validate:         registry.Pure(apps.ValidateDaemonSet),
		ValidateUpdate:   registry.PureUpdate(apps.ValidateDaemonSetUpdate),
		PrepareForCreate: func(_ context.Context, ds *appsv1.DaemonSet) { apps.DropDisabledFields(&ds.Spec.Template, nil) },
		PrepareForUpdate: func(_ context.Context, ds, old *appsv1.DaemonSet) {
			apps.DropDisabledFields(&ds.Spec.Template, &old.Spec.Template)
		},
		Warnings: func(_ context.Context, ds, old *appsv1.DaemonSet) []string { return apps.DaemonSetWarnings(ds, old) },
		Table:    table(),
		Status:   &registry.Status[*appsv1.DaemonSet]{Validate: registry.PureUpdate(apps.ValidateDaemonSetStatusUpdate)},
	}.Resource()
}

func table() *registry.Table[*appsv1.DaemonSet] {
	return &registry.Table[*appsv1.DaemonSet]{
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn(), registry.Integer("Desired"), registry.Integer("Current"), registry.Integer("Ready"),
			registry.Integer("Up-to-date"), registry.Integer("Available"), registry.Column("Node Selector"), registry.Column("Age"),
			registry.Wide(registry.Column("Containers")), registry.Wide(registry.Column("Images")), registry.Wide(registry.Column("Selector")),
		},
		Cells: func(ds *appsv1.DaemonSet, now time.Time) []any {
			names, images := registry.Containers(ds.Spec.Template.Spec.Containers)
			return []any{ds.Name, int64(ds.Status.DesiredNumberScheduled), int64(ds.Status.CurrentNumberScheduled), int64(ds.Status.NumberReady),
				int64(ds.Status.UpdatedNumberScheduled), int64(ds.Status.NumberAvailable), labels.FormatLabels(ds.Spec.Template.Spec.NodeSelector),
				registry.Age(ds.CreationTimestamp, now), names, images, metav1.FormatLabelSelector(ds.Spec.Selector)}
		},
	}
}
