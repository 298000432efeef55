// Package volumeattachment serves storage.k8s.io/v1 VolumeAttachments.
//
// The API of this package is not stable: see docs/api.md.
package volumeattachment

import (
	"time"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/storage"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	attacher := registry.Column("Attacher")
	attacher.Format = "name"
	return registry.Kind[*storagev1.VolumeAttachment]{
		GVK:                    storagev1.SchemeGroupVersion.WithKind("VolumeAttachment"),
		Plural:                 "volumeattachments",
		ReturnDeleted:          true,
		ClusterScoped:          true,
		New:                    func() *storagev1.VolumeAttachment { return &storagev1.VolumeAttachment{} },
		NewList:                func() runtime.Object { return &storagev1.VolumeAttachmentList{} },
		Validate:               registry.Pure(storage.ValidateVolumeAttachment),
		ValidateUpdate:         registry.PureUpdate(storage.ValidateVolumeAttachmentUpdate),
		NoGeneration:           true,
		RequireResourceVersion: true,
		Status: &registry.Status[*storagev1.VolumeAttachment]{
			Validate:     registry.PureUpdate(storage.ValidateVolumeAttachmentUpdate),
			KeepMetadata: true,
		},
		Table: &registry.Table[*storagev1.VolumeAttachment]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), attacher, registry.Column("PV"), registry.Column("Node"), registry.Boolean("Attached"), registry.Column("Age"),
			},
			Cells: func(a *storagev1.VolumeAttachment, now time.Time) []any {
				return []any{a.Name, a.Spec.Attacher, ptr.Deref(a.Spec.Source.PersistentVolumeName, ""), a.Spec.NodeName, a.Status.Attached, registry.Age(a.CreationTimestamp, now)}
			},
		},
	}.Resource()
}
