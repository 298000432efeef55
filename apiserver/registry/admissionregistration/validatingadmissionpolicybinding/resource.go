// Package validatingadmissionpolicybinding serves admissionregistration.k8s.io/v1
// ValidatingAdmissionPolicyBindings.
//
// The API of this package is not stable: see docs/api.md.
package validatingadmissionpolicybinding

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
	return registry.Kind[*admissionv1.ValidatingAdmissionPolicyBinding]{
		GVK:           admissionv1.SchemeGroupVersion.WithKind("ValidatingAdmissionPolicyBinding"),
		Plural:        "validatingadmissionpolicybindings",
		AnyFinalizer:  true,
		Categories:    []string{"api-extensions"},
		ClusterScoped: true,
		New: func() *admissionv1.ValidatingAdmissionPolicyBinding {
			return &admissionv1.ValidatingAdmissionPolicyBinding{}
		},
		NewList:                func() runtime.Object { return &admissionv1.ValidatingAdmissionPolicyBindingList{} },
		RequireResourceVersion: true,
		Validate:               registry.Pure(admissionregistration.ValidateValidatingAdmissionPolicyBinding),
		ValidateUpdate:         registry.PureUpdate(admissionregistration.ValidateValidatingAdmissionPolicyBindingUpdate),
		Warnings: func(_ context.Context, b, old *admissionv1.ValidatingAdmissionPolicyBinding) []string {
			if old == nil {
				return nil
			}
			return admissionregistration.NameWarnings(b.Name)
		},
		Extend: params.Binding(
			func(b *admissionv1.ValidatingAdmissionPolicyBinding) params.Use {
				return params.Use{Policy: b.Spec.PolicyName, Ref: b.Spec.ParamRef}
			},
			"validatingadmissionpolicies",
			func(policy runtime.Object) *admissionv1.ParamKind {
				return policy.(*admissionv1.ValidatingAdmissionPolicy).Spec.ParamKind
			},
		),
		Table: &registry.Table[*admissionv1.ValidatingAdmissionPolicyBinding]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Column("PolicyName"), registry.Column("ParamRef"), registry.Column("Age")},
			Cells: func(b *admissionv1.ValidatingAdmissionPolicyBinding, now time.Time) []any {
				return []any{b.Name, b.Spec.PolicyName, params.RefCell(b.Spec.ParamRef), registry.Age(b.CreationTimestamp, now)}
			},
		},
	}.Resource()
}
