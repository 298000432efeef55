// Package poddisruptionbudget serves policy/v1 PodDisruptionBudgets.
//
// The API of this package is not stable: see docs/api.md.
package poddisruptionbudget

import (
	"context"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/coracle-k8s/coracle/apis/policy"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*policyv1.PodDisruptionBudget]{
		GVK:          policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget"),
		Plural:       "poddisruptionbudgets",
		AnyFinalizer: true,
		ShortNames:   []string{"pdb"},
		New:          func() *policyv1.PodDisruptionBudget { return &policyv1.PodDisruptionBudget{} },
		NewList:      func() runtime.Object { return &policyv1.PodDisruptionBudgetList{} },
		// A client that changes a budget must have read the one that evictions count down.
		RequireResourceVersion: true,
		NoGeneration:           true, // it is counted here
		PrepareForCreate:       prepareForCreate,
		PrepareForUpdate:       prepareForUpdate,
		Validate:               registry.Pure(policy.ValidatePodDisruptionBudget),
		ValidateUpdate:         registry.PureUpdate(policy.ValidatePodDisruptionBudgetUpdate),
		Status:                 &registry.Status[*policyv1.PodDisruptionBudget]{AnyFinalizer: true, Validate: registry.PureUpdate(policy.ValidatePodDisruptionBudgetStatusUpdate)},
		Table: &registry.Table[*policyv1.PodDisruptionBudget]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.Column("Min Available"), registry.Column("Max Unavailable"), registry.Integer("Allowed Disruptions"), registry.Column("Age"),
			},
			Cells: func(p *policyv1.PodDisruptionBudget, now time.Time) []any {
				return []any{p.Name, count(p.Spec.MinAvailable), count(p.Spec.MaxUnavailable), int64(p.Status.DisruptionsAllowed), registry.Age(p.CreationTimestamp, now)}
			},
		},
	}.Resource()
}

func prepareForCreate(_ context.Context, p *policyv1.PodDisruptionBudget) {
	p.Generation = 1
	policy.DropLegacyLabel(p, nil)
}

// prepareForUpdate counts the generation up for a selector from which the label is
// then dropped, as upstream does.
func prepareForUpdate(_ context.Context, p, old *policyv1.PodDisruptionBudget) {
	p.Generation = old.Generation
	if !equality.Semantic.DeepEqual(p.Spec, old.Spec) {
		p.Generation++
	}
	policy.DropLegacyLabel(p, old)
}

func count(n *intstr.IntOrString) string {
	if n == nil {
		return "N/A"
	}
	return n.String()
}
