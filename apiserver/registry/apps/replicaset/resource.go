// Package replicaset serves apps/v1 ReplicaSets.
//
// The API of this package is not stable: see docs/api.md.
package replicaset

import (
	"context"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/apps"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*appsv1.ReplicaSet]{
		GVK:              appsv1.SchemeGroupVersion.WithKind("ReplicaSet"),
		Plural:           "replicasets",
		ShortNames:       []string{"rs"},
		Categories:       []string{"all"},
		New:              func() *appsv1.ReplicaSet { return &appsv1.ReplicaSet{} },
		NewList:          func() runtime.Object { return &appsv1.ReplicaSetList{} },
		Validate:         registry.Pure(apps.ValidateReplicaSet),
		ValidateUpdate:   registry.PureUpdate(apps.ValidateReplicaSetUpdate),
		PrepareForCreate: func(_ context.Context, rs *appsv1.ReplicaSet) { apps.DropDisabledFields(&rs.Spec.Template, nil) },
		PrepareForUpdate: func(_ context.Context, rs, old *appsv1.ReplicaSet) {
			apps.DropDisabledFields(&rs.Spec.Template, &old.Spec.Template)
		},
		Warnings: func(_ context.Context, rs, old *appsv1.ReplicaSet) []string { return apps.ReplicaSetWarnings(rs, old) },
		Fields: func(rs *appsv1.ReplicaSet) fields.Set {
			return fields.Set{"status.replicas": strconv.Itoa(int(rs.Status.Replicas))}
		},
		Table:  table(),
		Status: &registry.Status[*appsv1.ReplicaSet]{Validate: registry.PureUpdate(apps.ValidateReplicaSetStatusUpdate)},
		Scale: &registry.Scale[*appsv1.ReplicaSet]{
			Get: func(rs *appsv1.ReplicaSet) (int32, int32, string) {
				return ptr.Deref(rs.Spec.Replicas, 1), rs.Status.Replicas, registry.SelectorText(rs.Spec.Selector)
			},
			Set: func(rs *appsv1.ReplicaSet, n int32) { rs.Spec.Replicas = &n },
		},
	}.Resource()
}

func table() *registry.Table[*appsv1.ReplicaSet] {
	return &registry.Table[*appsv1.ReplicaSet]{
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn(), registry.Integer("Desired"), registry.Integer("Current"), registry.Integer("Ready"),
			registry.Column("Age"), registry.Wide(registry.Column("Containers")), registry.Wide(registry.Column("Images")),
			registry.Wide(registry.Column("Selector")),
		},
		Cells: func(rs *appsv1.ReplicaSet, now time.Time) []any {
			names, images := registry.Containers(rs.Spec.Template.Spec.Containers)
			return []any{rs.Name, int64(ptr.Deref(rs.Spec.Replicas, 0)), int64(rs.Status.Replicas), int64(rs.Status.ReadyReplicas),
				registry.Age(rs.CreationTimestamp, now), names, images, metav1.FormatLabelSelector(rs.Spec.Selector)}
		},
	}
}
