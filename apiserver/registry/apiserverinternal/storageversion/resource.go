// Package storageversion serves internal.apiserver.k8s.io/v1alpha1 StorageVersions.
//
// The API of this package is not stable: see docs/api.md.
package storageversion

import (
	"fmt"
	"strings"
	"time"

	internalv1alpha1 "k8s.io/api/apiserverinternal/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/apiserverinternal"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*internalv1alpha1.StorageVersion]{
		GVK:                    internalv1alpha1.SchemeGroupVersion.WithKind("StorageVersion"),
		Plural:                 "storageversions",
		ClusterScoped:          true,
		AnyFinalizer:           true,
		New:                    func() *internalv1alpha1.StorageVersion { return &internalv1alpha1.StorageVersion{} },
		NewList:                func() runtime.Object { return &internalv1alpha1.StorageVersionList{} },
		NoGeneration:           true,
		RequireResourceVersion: true,
		Validate:               registry.Pure(apiserverinternal.ValidateStorageVersion),
		ValidateUpdate:         registry.PureUpdate(apiserverinternal.ValidateStorageVersionUpdate),
		Status: &registry.Status[*internalv1alpha1.StorageVersion]{
			Validate: registry.PureUpdate(apiserverinternal.ValidateStorageVersionStatusUpdate), KeepMetadata: true,
		},
		Table: &registry.Table[*internalv1alpha1.StorageVersion]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Column("CommonEncodingVersion"), registry.Column("StorageVersions"), registry.Column("Age")},
			Cells: func(v *internalv1alpha1.StorageVersion, now time.Time) []any {
				common := "<unset>"
				if v.Status.CommonEncodingVersion != nil {
					common = *v.Status.CommonEncodingVersion
				}
				return []any{v.Name, common, servers(v.Status.StorageVersions), registry.Age(v.CreationTimestamp, now)}
			},
		},
	}.Resource()
}

// servers names three of them at most.
func servers(versions []internalv1alpha1.ServerStorageVersion) string {
	const most = 3
	if len(versions) == 0 {
		return "<unset>"
	}
	var list []string
	for _, v := range versions[:min(most, len(versions))] {
		list = append(list, v.APIServerID+"="+v.EncodingVersion)
	}
	text := strings.Join(list, ",")
	if len(versions) > most {
		text += fmt.Sprintf(" + %d more...", len(versions)-most)
	}
	return text
}
