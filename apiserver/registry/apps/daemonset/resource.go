// Package daemonset serves apps/v1 DaemonSets.
//
// The API of this package is not stable: see docs/api.md.
package daemonset

import (
	"context"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
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
		PrepareForCreate: func(_ context.Context, ds *appsv1.DaemonSet) { prepareForCreate(ds) },
		PrepareForUpdate: func(_ context.Context, ds, old *appsv1.DaemonSet) { prepareForUpdate(ds, old) },
		Warnings:         func(_ context.Context, ds, old *appsv1.DaemonSet) []string { return apps.DaemonSetWarnings(ds, old) },
		Table:            table(),
		Status: &registry.Status[*appsv1.DaemonSet]{
			Prepare:  func(_ context.Context, ds, old *appsv1.DaemonSet) { setTemplateGeneration(ds, templateGeneration(old)) },
			Validate: registry.PureUpdate(apps.ValidateDaemonSetStatusUpdate),
		},
	}.Resource()
}

func prepareForCreate(ds *appsv1.DaemonSet) {
	apps.DropDisabledFields(&ds.Spec.Template, nil)
	setTemplateGeneration(ds, max(1, templateGeneration(ds)))
}

func prepareForUpdate(ds, old *appsv1.DaemonSet) {
	apps.DropDisabledFields(&ds.Spec.Template, &old.Spec.Template)
	generation := templateGeneration(old)
	if !apiequality.Semantic.DeepEqual(ds.Spec.Template, old.Spec.Template) {
		generation++
	}
	setTemplateGeneration(ds, generation)
}

// templateGeneration counts the templates that a DaemonSet had. It was a field
// of the groups before apps/v1, where it lives on as an annotation that is the
// server's; pods that were made then have it in a label.
func templateGeneration(ds *appsv1.DaemonSet) int64 {
	n, err := strconv.ParseInt(ds.Annotations[appsv1.DeprecatedTemplateGeneration], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func setTemplateGeneration(ds *appsv1.DaemonSet, n int64) {
	if ds.Annotations == nil {
		ds.Annotations = map[string]string{}
	}
	ds.Annotations[appsv1.DeprecatedTemplateGeneration] = strconv.FormatInt(n, 10)
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
