// Package validatingadmissionpolicy serves admissionregistration.k8s.io/v1
// ValidatingAdmissionPolicies.
//
// The API of this package is not stable: see docs/api.md.
package validatingadmissionpolicy

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
	return registry.Kind[*admissionv1.ValidatingAdmissionPolicy]{
		GVK:                    admissionv1.SchemeGroupVersion.WithKind("ValidatingAdmissionPolicy"),
		Plural:                 "validatingadmissionpolicies",
		AnyFinalizer:           true,
		Categories:             []string{"api-extensions"},
		ClusterScoped:          true,
		New:                    func() *admissionv1.ValidatingAdmissionPolicy { return &admissionv1.ValidatingAdmissionPolicy{} },
		NewList:                func() runtime.Object { return &admissionv1.ValidatingAdmissionPolicyList{} },
		RequireResourceVersion: true,
		Validate:               registry.Pure(admissionregistration.ValidateValidatingAdmissionPolicy),
		ValidateUpdate:         registry.PureUpdate(admissionregistration.ValidateValidatingAdmissionPolicyUpdate),
		Warnings: func(_ context.Context, p, old *admissionv1.ValidatingAdmissionPolicy) []string {
			if old == nil {
				return nil
			}
			return admissionregistration.NameWarnings(p.Name)
		},
		Status: &registry.Status[*admissionv1.ValidatingAdmissionPolicy]{
			KeepMetadata: true,
			Validate:     registry.PureUpdate(admissionregistration.ValidateValidatingAdmissionPolicyStatusUpdate),
		},
		Extend: params.Policy(func(p *admissionv1.ValidatingAdmissionPolicy) *admissionv1.ParamKind { return p.Spec.ParamKind }),
		Table: &registry.Table[*admissionv1.ValidatingAdmissionPolicy]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Integer("Validations"), registry.Column("ParamKind"), registry.Column("Age")},
			Cells: func(p *admissionv1.ValidatingAdmissionPolicy, now time.Time) []any {
				return []any{p.Name, int64(len(p.Spec.Validations)), params.KindCell(p.Spec.ParamKind), registry.Age(p.CreationTimestamp, now)}
			},
		},
	}.Resource()
}
