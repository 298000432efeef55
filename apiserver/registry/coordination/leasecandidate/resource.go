// Package leasecandidate serves LeaseCandidates of coordination.k8s.io/v1beta1,
// the version that is stored, and v1alpha2.
//
// The API of this package is not stable: see docs/api.md.
package leasecandidate

import (
	"time"

	coordinationv1beta1 "k8s.io/api/coordination/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/coordination"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*coordinationv1beta1.LeaseCandidate]{
		GVK:                    coordinationv1beta1.SchemeGroupVersion.WithKind("LeaseCandidate"),
		OtherVersions:          []string{"v1alpha2"},
		Plural:                 "leasecandidates",
		AnyFinalizer:           true,
		New:                    func() *coordinationv1beta1.LeaseCandidate { return &coordinationv1beta1.LeaseCandidate{} },
		NewList:                func() runtime.Object { return &coordinationv1beta1.LeaseCandidateList{} },
		NoGeneration:           true,
		AllowCreateOnUpdate:    true,
		RequireResourceVersion: true,
		Validate:               registry.Pure(coordination.ValidateLeaseCandidate),
		ValidateUpdate:         registry.PureUpdate(coordination.ValidateLeaseCandidateUpdate),
		Fields: func(c *coordinationv1beta1.LeaseCandidate) fields.Set {
			return fields.Set{"spec.leaseName": c.Spec.LeaseName}
		},
		Table: &registry.Table[*coordinationv1beta1.LeaseCandidate]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.Column("LeaseName"), registry.Column("BinaryVersion"), registry.Column("EmulationVersion"), registry.Column("Age"),
			},
			Cells: func(c *coordinationv1beta1.LeaseCandidate, now time.Time) []any {
				return []any{c.Name, c.Spec.LeaseName, c.Spec.BinaryVersion, c.Spec.EmulationVersion, registry.Age(c.CreationTimestamp, now)}
			},
		},
	}.Resource()
}
