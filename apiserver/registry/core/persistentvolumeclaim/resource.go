// Package persistentvolumeclaim serves core/v1 PersistentVolumeClaims.
//
// The API of this package is not stable: see docs/api.md.
package persistentvolumeclaim

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/core/validation/volume"
	corewarnings "github.com/coracle-k8s/coracle/apis/core/warnings"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*corev1.PersistentVolumeClaim]{
		GVK:          corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"),
		Plural:       "persistentvolumeclaims",
		ShortNames:   []string{"pvc"},
		New:          func() *corev1.PersistentVolumeClaim { return &corev1.PersistentVolumeClaim{} },
		NewList:      func() runtime.Object { return &corev1.PersistentVolumeClaimList{} },
		NoGeneration: true,
		PrepareForCreate: func(_ context.Context, c *corev1.PersistentVolumeClaim) {
			c.Status.Phase = corev1.ClaimPending
			normalizeSources(&c.Spec, nil)
		},
		PrepareForUpdate: func(_ context.Context, c, old *corev1.PersistentVolumeClaim) {
			normalizeSources(&c.Spec, &old.Spec)
			copySource(&old.Spec) // as it was stored before there was a ref
		},
		Warnings: func(_ context.Context, c, _ *corev1.PersistentVolumeClaim) []string {
			return corewarnings.ClaimWarnings(c)
		},
		Validate:       registry.Pure(volume.ValidatePersistentVolumeClaim),
		ValidateUpdate: registry.PureUpdate(volume.ValidatePersistentVolumeClaimUpdate),
		Fields:         func(c *corev1.PersistentVolumeClaim) fields.Set { return fields.Set{"name": c.Name} },
		ReturnDeleted:  true,
		Status: &registry.Status[*corev1.PersistentVolumeClaim]{
			Prepare: func(_ context.Context, c, old *corev1.PersistentVolumeClaim) {
				if old.Status.HealthStatus == nil { // an alpha feature
					c.Status.HealthStatus = nil
				}
			},
			Validate: registry.PureUpdate(volume.ValidatePersistentVolumeClaimStatusUpdate),
		},
		Table: table(),
	}.Resource()
}

func table() *registry.Table[*corev1.PersistentVolumeClaim] {
	return &registry.Table[*corev1.PersistentVolumeClaim]{
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn(), registry.Column("Status"), registry.Column("Volume"), registry.Column("Capacity"), registry.Column("Access Modes"),
			registry.Column("StorageClass"), registry.Column("VolumeAttributesClass"), registry.Column("Age"), registry.Wide(registry.Column("VolumeMode")),
		},
		Cells: func(c *corev1.PersistentVolumeClaim, now time.Time) []any {
			phase := string(c.Status.Phase)
			if c.DeletionTimestamp != nil {
				phase = "Terminating"
			}
			capacity, modes, mode := "", "", "<unset>"
			if c.Spec.VolumeName != "" {
				storage := c.Status.Capacity[corev1.ResourceStorage]
				capacity, modes = storage.String(), registry.AccessModes(c.Status.AccessModes)
			}
			if c.Spec.VolumeMode != nil {
				mode = string(*c.Spec.VolumeMode)
			}
			class, ok := c.Annotations[corev1.BetaStorageClassAnnotation]
			if !ok {
				class = ptr.Deref(c.Spec.StorageClassName, "")
			}
			attributes := ptr.Deref(c.Spec.VolumeAttributesClassName, "")
			if attributes == "" {
				attributes = "<unset>"
			}
			return []any{c.Name, phase, c.Spec.VolumeName, capacity, modes, class, attributes, registry.Age(c.CreationTimestamp, now), mode}
		},
	}
}
