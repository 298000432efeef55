// Package poddisruptionbudget serves policy/v1 PodDisruptionBudgets.
package poddisruptionbudget

import (
	"context"
	"time"

	policyv1 "k8s.io/api/policy/v1"
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
		PrepareForCreate:       func(_ context.Context, p *policyv1.PodDisruptionBudget) { policy.DropLegacyLabel(p, nil) },
		PrepareForUpdate:       func(_ context.Context, p, old *policyv1.PodDisruptionBudget) { policy.DropLegacyLabel(p, old) },
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

func count(n *intstr.IntOrString) string {
	if n == nil {
		return "N/A"
	}
	return n.String()
}
