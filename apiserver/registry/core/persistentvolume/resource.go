// Package persistentvolume serves core/v1 PersistentVolumes.
//
// The API of this package is not stable: see docs/api.md.
package persistentvolume

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
	return registry.Kind[*corev1.PersistentVolume]{
		GVK:           corev1.SchemeGroupVersion.WithKind("PersistentVolume"),
		Plural:        "persistentvolumes",
		ShortNames:    []string{"pv"},
		ClusterScoped: true,
		New:           func() *corev1.PersistentVolume { return &corev1.PersistentVolume{} },
		NewList:       func() runtime.Object { return &corev1.PersistentVolumeList{} },
		NoGeneration:  true,
		PrepareForCreate: func(_ context.Context, pv *corev1.PersistentVolume) {
			pv.Status = corev1.PersistentVolumeStatus{Phase: corev1.VolumePending, LastPhaseTransitionTime: ptr.To(metav1.Now())}
		},
		Warnings: func(_ context.Context, pv, _ *corev1.PersistentVolume) []string {
			return corewarnings.VolumeWarnings(pv)
		},
		Validate:       registry.Pure(volume.ValidatePersistentVolume),
		ValidateUpdate: registry.PureUpdate(volume.ValidatePersistentVolumeUpdate),
		Fields:         func(pv *corev1.PersistentVolume) fields.Set { return fields.Set{"name": pv.Name} },
		ReturnDeleted:  true,
		Status: &registry.Status[*corev1.PersistentVolume]{
			Prepare:  phaseTransition,
			Validate: registry.PureUpdate(volume.ValidatePersistentVolumeStatusUpdate),
		},
		Table: table(),
	}.Resource()
}

// phaseTransition notes when the phase changed, unless the writer did.
func phaseTransition(_ context.Context, pv, old *corev1.PersistentVolume) {
	switch {
	case pv.Status.Phase == old.Status.Phase:
		if pv.Status.LastPhaseTransitionTime == nil {
			pv.Status.LastPhaseTransitionTime = old.Status.LastPhaseTransitionTime
		}
	case pv.Status.LastPhaseTransitionTime == nil, pv.Status.LastPhaseTransitionTime.Equal(old.Status.LastPhaseTransitionTime):
		pv.Status.LastPhaseTransitionTime = ptr.To(metav1.Now())
	}
}

func table() *registry.Table[*corev1.PersistentVolume] {
	return &registry.Table[*corev1.PersistentVolume]{
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn(), registry.Column("Capacity"), registry.Column("Access Modes"), registry.Column("Reclaim Policy"),
			registry.Column("Status"), registry.Column("Claim"), registry.Column("StorageClass"), registry.Column("VolumeAttributesClass"),
			registry.Column("Reason"), registry.Column("Age"), registry.Wide(registry.Column("VolumeMode")),
		},
		Cells: func(pv *corev1.PersistentVolume, now time.Time) []any {
			claim := ""
			if ref := pv.Spec.ClaimRef; ref != nil {
				claim = ref.Namespace + "/" + ref.Name
			}
			phase := string(pv.Status.Phase)
			if pv.DeletionTimestamp != nil {
				phase = "Terminating"
			}
			capacity := pv.Spec.Capacity[corev1.ResourceStorage]
			class := pv.Annotations[corev1.BetaStorageClassAnnotation]
			if class == "" {
				class = pv.Spec.StorageClassName
			}
			return []any{pv.Name, capacity.String(), registry.AccessModes(pv.Spec.AccessModes), string(pv.Spec.PersistentVolumeReclaimPolicy),
				phase, claim, class, unset(pv.Spec.VolumeAttributesClassName), pv.Status.Reason, registry.Age(pv.CreationTimestamp, now), volumeMode(pv.Spec.VolumeMode)}
		},
	}
}

func unset(name *string) string {
	if ptr.Deref(name, "") == "" {
		return "<unset>"
	}
	return *name
}

func volumeMode(mode *corev1.PersistentVolumeMode) string {
	if mode == nil {
		return "<unset>"
	}
	return string(*mode)
}
