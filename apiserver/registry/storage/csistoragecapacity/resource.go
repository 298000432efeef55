// Package csistoragecapacity serves storage.k8s.io/v1 CSIStorageCapacities.
//
// The API of this package is not stable: see docs/api.md.
package csistoragecapacity

import (
	"context"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/storage"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*storagev1.CSIStorageCapacity]{
		GVK:                    storagev1.SchemeGroupVersion.WithKind("CSIStorageCapacity"),
		Plural:                 "csistoragecapacities",
		New:                    func() *storagev1.CSIStorageCapacity { return &storagev1.CSIStorageCapacity{} },
		NewList:                func() runtime.Object { return &storagev1.CSIStorageCapacityList{} },
		Validate:               registry.Pure(storage.ValidateCSIStorageCapacity),
		ValidateUpdate:         registry.PureUpdate(storage.ValidateCSIStorageCapacityUpdate),
		RequireResourceVersion: true,
		Warnings: func(_ context.Context, c, _ *storagev1.CSIStorageCapacity) []string {
			return storage.CSIStorageCapacityWarnings(c)
		},
	}.Resource()
}
