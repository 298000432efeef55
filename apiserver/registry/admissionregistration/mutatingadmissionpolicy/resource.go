// Package mutatingadmissionpolicy serves admissionregistration.k8s.io/v1
// MutatingAdmissionPolicies.
//
// The API of this package is not stable: see docs/api.md.
package mutatingadmissionpolicy

import (
	"context"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/admissionregistration"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/registry/admissionregistration/params"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*admissionv1.MutatingAdmissionPolicy]{
		GVK:                    admissionv1.SchemeGroupVersion.WithKind("MutatingAdmissionPolicy"),
		OtherVersions:          []string{"v1beta1", "v1alpha1"},
		Plural:                 "mutatingadmissionpolicies",
		AnyFinalizer:           true,
		Categories:             []string{"api-extensions"},
		ClusterScoped:          true,
		New:                    func() *admissionv1.MutatingAdmissionPolicy { return &admissionv1.MutatingAdmissionPolicy{} },
		NewList:                func() runtime.Object { return &admissionv1.MutatingAdmissionPolicyList{} },
		RequireResourceVersion: true,
		Validate:               registry.Pure(admissionregistration.ValidateMutatingAdmissionPolicy),
		ValidateUpdate:         registry.PureUpdate(admissionregistration.ValidateMutatingAdmissionPolicyUpdate),
		Warnings: func(_ context.Context, p, old *admissionv1.MutatingAdmissionPolicy) []string {
			if old == nil {
				return nil
			}
			return admissionregistration.NameWarnings(p.Name)
		},
		Extend: params.Policy(func(p *admissionv1.MutatingAdmissionPolicy) *admissionv1.ParamKind { return p.Spec.ParamKind }),
		Table: &registry.Table[*admissionv1.MutatingAdmissionPolicy]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Integer("Mutations"), registry.Column("ParamKind"), registry.Column("Age")},
			Cells: func(p *admissionv1.MutatingAdmissionPolicy, now time.Time) []any {
				return []any{p.Name, int64(len(p.Spec.Mutations)), params.KindCell(p.Spec.ParamKind), registry.Age(p.CreationTimestamp, now)}
			},
		},
	}.Resource()
}
