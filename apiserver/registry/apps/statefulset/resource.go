// Package statefulset serves apps/v1 StatefulSets.
//
// The API of this package is not stable: see docs/api.md.
package statefulset

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/apps"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*appsv1.StatefulSet]{
		GVK:              appsv1.SchemeGroupVersion.WithKind("StatefulSet"),
		Plural:           "statefulsets",
		ShortNames:       []string{"sts"},
		Categories:       []string{"all"},
		New:              func() *appsv1.StatefulSet { return &appsv1.StatefulSet{} },
		NewList:          func() runtime.Object { return &appsv1.StatefulSetList{} },
		Validate:         registry.Pure(apps.ValidateStatefulSet),
		ValidateUpdate:   registry.PureUpdate(apps.ValidateStatefulSetUpdate),
		PrepareForCreate: func(_ context.Context, s *appsv1.StatefulSet) { apps.DropDisabledFields(&s.Spec.Template, nil) },
		PrepareForUpdate: func(_ context.Context, s, old *appsv1.StatefulSet) {
			apps.DropDisabledFields(&s.Spec.Template, &old.Spec.Template)
		},
		Warnings: func(_ context.Context, s, old *appsv1.StatefulSet) []string { return apps.StatefulSetWarnings(s, old) },
		Table:    table(),
		Status:   &registry.Status[*appsv1.StatefulSet]{Validate: registry.PureUpdate(apps.ValidateStatefulSetStatusUpdate)},
		Scale: &registry.Scale[*appsv1.StatefulSet]{
			Get: func(s *appsv1.StatefulSet) (int32, int32, string) {
				return ptr.Deref(s.Spec.Replicas, 1), s.Status.Replicas, registry.SelectorText(s.Spec.Selector)
			},
			Set: func(s *appsv1.StatefulSet, n int32) { s.Spec.Replicas = &n },
		},
	}.Resource()
}

func table() *registry.Table[*appsv1.StatefulSet] {
	return &registry.Table[*appsv1.StatefulSet]{
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn(), registry.Column("Ready"), registry.Column("Age"),
			registry.Wide(registry.Column("Containers")), registry.Wide(registry.Column("Images")),
		},
		Cells: func(s *appsv1.StatefulSet, now time.Time) []any {
			names, images := registry.Containers(s.Spec.Template.Spec.Containers)
			return []any{s.Name, registry.Ratio(s.Status.ReadyReplicas, ptr.Deref(s.Spec.Replicas, 0)), registry.Age(s.CreationTimestamp, now), names, images}
		},
	}
}
