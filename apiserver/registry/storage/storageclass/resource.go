// Package storageclass serves storage.k8s.io/v1 StorageClasses.
//
// The API of this package is not stable: see docs/api.md.
package storageclass

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/storage"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*storagev1.StorageClass]{
		GVK:            storagev1.SchemeGroupVersion.WithKind("StorageClass"),
		Plural:         "storageclasses",
		ReturnDeleted:  true,
		ShortNames:     []string{"sc"},
		ClusterScoped:  true,
		New:            func() *storagev1.StorageClass { return &storagev1.StorageClass{} },
		NewList:        func() runtime.Object { return &storagev1.StorageClassList{} },
		Validate:       registry.Pure(storage.ValidateStorageClass),
		ValidateUpdate: registry.PureUpdate(storage.ValidateStorageClassUpdate),
		Warnings:       func(_ context.Context, c, _ *storagev1.StorageClass) []string { return storage.StorageClassWarnings(c) },
		Table: &registry.Table[*storagev1.StorageClass]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.Column("Provisioner"), registry.Column("ReclaimPolicy"), registry.Column("VolumeBindingMode"), registry.Column("AllowVolumeExpansion"), registry.Column("Age"),
			},
			Cells: func(c *storagev1.StorageClass, now time.Time) []any { return cells(c, c.Name, now) },
			InList: func(list runtime.Object) func(*storagev1.StorageClass, time.Time) []any {
				chosen := ""
				if l, ok := list.(*storagev1.StorageClassList); ok {
					chosen = storage.DefaultClass(l.Items)
				}
				return func(c *storagev1.StorageClass, now time.Time) []any {
					name := c.Name
					if name == chosen {
						name += " (default)"
					}
					return cells(c, name, now)
				}
			},
		},
	}.Resource()
}

func cells(c *storagev1.StorageClass, name string, now time.Time) []any {
	return []any{name, c.Provisioner, string(ptr.Deref(c.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete)),
		string(ptr.Deref(c.VolumeBindingMode, storagev1.VolumeBindingImmediate)), ptr.Deref(c.AllowVolumeExpansion, false), registry.Age(c.CreationTimestamp, now)}
}
