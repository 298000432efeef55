// Package csinode serves storage.k8s.io/v1 CSINodes.
//
// The API of this package is not stable: see docs/api.md.
package csinode

import (
	"context"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/storage"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*storagev1.CSINode]{
		GVK:                    storagev1.SchemeGroupVersion.WithKind("CSINode"),
		Plural:                 "csinodes",
		ReturnDeleted:          true,
		ClusterScoped:          true,
		New:                    func() *storagev1.CSINode { return &storagev1.CSINode{} },
		NewList:                func() runtime.Object { return &storagev1.CSINodeList{} },
		Validate:               registry.Pure(storage.ValidateCSINode),
		ValidateUpdate:         registry.PureUpdate(storage.ValidateCSINodeUpdate),
		NoGeneration:           true,
		RequireResourceVersion: true,
		Status: &registry.Status[*storagev1.CSINode]{
			Prepare:      func(_ context.Context, n, old *storagev1.CSINode) { n.Status = old.Status },
			Validate:     registry.PureUpdate(storage.ValidateCSINodeStatusUpdate),
			KeepMetadata: true,
		},
		Table: &registry.Table[*storagev1.CSINode]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.Integer("Drivers"), registry.Column("Age"),
			},
			Cells: func(n *storagev1.CSINode, now time.Time) []any {
				return []any{n.Name, int64(len(n.Spec.Drivers)), registry.Age(n.CreationTimestamp, now)}
			},
		},
	}.Resource()
}
