// Package volumeattributesclass serves storage.k8s.io/v1 VolumeAttributesClasses.
//
// The API of this package is not stable: see docs/api.md.
package volumeattributesclass

import (
	"time"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/storage"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*storagev1.VolumeAttributesClass]{
		GVK:            storagev1.SchemeGroupVersion.WithKind("VolumeAttributesClass"),
		Plural:         "volumeattributesclasses",
		ReturnDeleted:  true,
		ShortNames:     []string{"vac"},
		ClusterScoped:  true,
		New:            func() *storagev1.VolumeAttributesClass { return &storagev1.VolumeAttributesClass{} },
		NewList:        func() runtime.Object { return &storagev1.VolumeAttributesClassList{} },
		Validate:       registry.Pure(storage.ValidateVolumeAttributesClass),
		ValidateUpdate: registry.PureUpdate(storage.ValidateVolumeAttributesClassUpdate),
		Table: &registry.Table[*storagev1.VolumeAttributesClass]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.Column("DriverName"), registry.Column("Age"),
			},
			Cells: func(c *storagev1.VolumeAttributesClass, now time.Time) []any {
				return []any{c.Name, c.DriverName, registry.Age(c.CreationTimestamp, now)}
			},
		},
	}.Resource()
}
