// Package storageversionmigration serves storagemigration.k8s.io/v1
// StorageVersionMigrations.
//
// The API of this package is not stable: see docs/api.md.
package storageversionmigration

import (
	"time"

	storagemigrationv1 "k8s.io/api/storagemigration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/storagemigration"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*storagemigrationv1.StorageVersionMigration]{
		GVK:                    storagemigrationv1.SchemeGroupVersion.WithKind("StorageVersionMigration"),
		OtherVersions:          []string{"v1beta1"},
		Gate:                   "StorageVersionMigrator",
		Plural:                 "storageversionmigrations",
		ClusterScoped:          true,
		NoGeneration:           true,
		RequireResourceVersion: true,
		New: func() *storagemigrationv1.StorageVersionMigration {
			return &storagemigrationv1.StorageVersionMigration{}
		},
		NewList:        func() runtime.Object { return &storagemigrationv1.StorageVersionMigrationList{} },
		Validate:       registry.Pure(storagemigration.ValidateStorageVersionMigration),
		ValidateUpdate: registry.PureUpdate(storagemigration.ValidateStorageVersionMigrationUpdate),
		Status: &registry.Status[*storagemigrationv1.StorageVersionMigration]{
			KeepMetadata: true,
			Validate:     registry.PureUpdate(storagemigration.ValidateStorageVersionMigrationStatusUpdate),
		},
		Table: &registry.Table[*storagemigrationv1.StorageVersionMigration]{
			Columns: []metav1.TableColumnDefinition{registry.Column("Name"), registry.Column("Resource"), registry.Column("Status")},
			Cells: func(m *storagemigrationv1.StorageVersionMigration, _ time.Time) []any {
				state := "Unknown"
				for _, c := range m.Status.Conditions {
					switch storagemigrationv1.MigrationConditionType(c.Type) {
					case storagemigrationv1.MigrationRunning, storagemigrationv1.MigrationFailed, storagemigrationv1.MigrationSucceeded:
						if c.Status == metav1.ConditionTrue {
							state = c.Type
						}
					}
				}
				return []any{m.Name, m.Spec.Resource.String(), state}
			},
		},
	}.Resource()
}
