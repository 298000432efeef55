// Package lease serves coordination.k8s.io/v1 Leases.
//
// The API of this package is not stable: see docs/api.md.
package lease

import (
	"context"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/coordination"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*coordinationv1.Lease]{
		GVK:                    coordinationv1.SchemeGroupVersion.WithKind("Lease"),
		Plural:                 "leases",
		AnyFinalizer:           true,
		New:                    func() *coordinationv1.Lease { return &coordinationv1.Lease{} },
		NewList:                func() runtime.Object { return &coordinationv1.LeaseList{} },
		NoGeneration:           true,
		AllowCreateOnUpdate:    true,
		RequireResourceVersion: true,
		PrepareForCreate:       func(_ context.Context, l *coordinationv1.Lease) { coordination.DropDisabledLeaseFields(l, nil) },
		PrepareForUpdate:       func(_ context.Context, l, old *coordinationv1.Lease) { coordination.DropDisabledLeaseFields(l, old) },
		Validate:               registry.Pure(coordination.ValidateLease),
		ValidateUpdate:         registry.PureUpdate(coordination.ValidateLeaseUpdate),
		Table: &registry.Table[*coordinationv1.Lease]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Column("Holder"), registry.Column("Age")},
			Cells: func(l *coordinationv1.Lease, now time.Time) []any {
				return []any{l.Name, ptr.Deref(l.Spec.HolderIdentity, ""), registry.Age(l.CreationTimestamp, now)}
			},
		},
	}.Resource()
}
