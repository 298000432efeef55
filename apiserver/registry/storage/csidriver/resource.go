// Package csidriver serves storage.k8s.io/v1 CSIDrivers.
//
// The API of this package is not stable: see docs/api.md.
package csidriver

import (
	"context"
	"strings"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/storage"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*storagev1.CSIDriver]{
		GVK:                    storagev1.SchemeGroupVersion.WithKind("CSIDriver"),
		Plural:                 "csidrivers",
		ReturnDeleted:          true,
		ClusterScoped:          true,
		New:                    func() *storagev1.CSIDriver { return &storagev1.CSIDriver{} },
		NewList:                func() runtime.Object { return &storagev1.CSIDriverList{} },
		Validate:               registry.Pure(storage.ValidateCSIDriver),
		ValidateUpdate:         registry.PureUpdate(storage.ValidateCSIDriverUpdate),
		RequireResourceVersion: true,
		NoGeneration:           true,
		PrepareForUpdate:       prepareForUpdate,
		Warnings: func(_ context.Context, d, old *storagev1.CSIDriver) []string {
			return storage.CSIDriverWarnings(d, old)
		},
		Table: &registry.Table[*storagev1.CSIDriver]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.Boolean("AttachRequired"), registry.Boolean("PodInfoOnMount"), registry.Boolean("StorageCapacity"), registry.Column("TokenRequests"), registry.Boolean("RequiresRepublish"), registry.Column("Modes"), registry.Column("Age"),
			},
			Cells: func(d *storagev1.CSIDriver, now time.Time) []any {
				return []any{d.Name, ptr.Deref(d.Spec.AttachRequired, true), ptr.Deref(d.Spec.PodInfoOnMount, false), ptr.Deref(d.Spec.StorageCapacity, false),
					audiences(d.Spec.TokenRequests), ptr.Deref(d.Spec.RequiresRepublish, false), modes(d.Spec.VolumeLifecycleModes), registry.Age(d.CreationTimestamp, now)}
			},
		},
	}.Resource()
}

func prepareForUpdate(_ context.Context, d, old *storagev1.CSIDriver) {
	d.Generation = old.Generation
	if !equality.Semantic.DeepEqual(d.Spec, old.Spec) {
		d.Generation++
	}
}

func audiences(list []storagev1.TokenRequest) string {
	if list == nil {
		return "<unset>"
	}
	names := make([]string, len(list))
	for i, r := range list {
		names[i] = r.Audience
	}
	return strings.Join(names, ",")
}

func modes(list []storagev1.VolumeLifecycleMode) string {
	if len(list) == 0 {
		return registry.None
	}
	names := make([]string, len(list))
	for i, m := range list {
		names[i] = string(m)
	}
	return strings.Join(names, ",")
}
