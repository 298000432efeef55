// Package replicationcontroller serves core/v1 ReplicationControllers.
//
// The API of this package is not stable: see docs/api.md.
package replicationcontroller

import (
	"context"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/core"
	corevalidation "github.com/coracle-k8s/coracle/apis/core/validation"
	corewarnings "github.com/coracle-k8s/coracle/apis/core/warnings"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*corev1.ReplicationController]{
		GVK:              corev1.SchemeGroupVersion.WithKind("ReplicationController"),
		Plural:           "replicationcontrollers",
		ShortNames:       []string{"rc"},
		Categories:       []string{"all"},
		New:              func() *corev1.ReplicationController { return &corev1.ReplicationController{} },
		NewList:          func() runtime.Object { return &corev1.ReplicationControllerList{} },
		Validate:         registry.Pure(corevalidation.ValidateReplicationController),
		ValidateUpdate:   registry.PureUpdate(corevalidation.ValidateReplicationControllerUpdate),
		PrepareForCreate: func(_ context.Context, rc *corev1.ReplicationController) { drop(rc.Spec.Template, nil) },
		PrepareForUpdate: func(_ context.Context, rc, old *corev1.ReplicationController) {
			drop(rc.Spec.Template, old.Spec.Template)
		},
		Warnings: warnings,
		// As before there was a garbage collector.
		GarbageCollection: func(context.Context) rest.GarbageCollectionPolicy { return rest.OrphanDependents },
		Fields: func(rc *corev1.ReplicationController) fields.Set {
			return fields.Set{"status.replicas": strconv.Itoa(int(rc.Status.Replicas))}
		},
		Table:  table(),
		Status: &registry.Status[*corev1.ReplicationController]{Validate: registry.PureUpdate(corevalidation.ValidateReplicationControllerStatusUpdate)},
		Scale: &registry.Scale[*corev1.ReplicationController]{
			Get: func(rc *corev1.ReplicationController) (int32, int32, string) {
				return ptr.Deref(rc.Spec.Replicas, 1), rc.Status.Replicas, labels.Set(rc.Spec.Selector).AsSelector().String()
			},
			Set: func(rc *corev1.ReplicationController, n int32) { rc.Spec.Replicas = &n },
		},
	}.Resource()
}

func table() *registry.Table[*corev1.ReplicationController] {
	return &registry.Table[*corev1.ReplicationController]{
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn(), registry.Integer("Desired"), registry.Integer("Current"), registry.Integer("Ready"), registry.Column("Age"),
			registry.Wide(registry.Column("Containers")), registry.Wide(registry.Column("Images")), registry.Wide(registry.Column("Selector")),
		},
		Cells: func(rc *corev1.ReplicationController, now time.Time) []any {
			var names, images string
			if rc.Spec.Template != nil {
				names, images = registry.Containers(rc.Spec.Template.Spec.Containers)
			}
			return []any{rc.Name, int64(ptr.Deref(rc.Spec.Replicas, 0)), int64(rc.Status.Replicas), int64(rc.Status.ReadyReplicas),
				registry.Age(rc.CreationTimestamp, now), names, images, labels.FormatLabels(rc.Spec.Selector)}
		},
	}
}

func drop(t, old *corev1.PodTemplateSpec) {
	if t != nil {
		core.DropDisabledTemplateFields(t, old)
	}
}

func warnings(_ context.Context, rc, old *corev1.ReplicationController) []string {
	switch {
	case rc.Spec.Template == nil || old != nil && rc.Generation == old.Generation:
		return nil
	case old == nil:
		return corewarnings.WorkloadWarnings(rc.Name, rc.Spec.Template, nil)
	}
	return corewarnings.WorkloadWarnings("", rc.Spec.Template, old.Spec.Template)
}
