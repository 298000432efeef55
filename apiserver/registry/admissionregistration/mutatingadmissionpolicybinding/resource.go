// Package mutatingadmissionpolicybinding serves admissionregistration.k8s.io/v1
// MutatingAdmissionPolicyBindings.
//
// The API of this package is not stable: see docs/api.md.
package mutatingadmissionpolicybinding

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
	return registry.Kind[*admissionv1.MutatingAdmissionPolicyBinding]{
		GVK:           admissionv1.SchemeGroupVersion.WithKind("MutatingAdmissionPolicyBinding"),
		OtherVersions: []string{"v1beta1", "v1alpha1"},
		Plural:        "mutatingadmissionpolicybindings",
		AnyFinalizer:  true,
		Categories:    []string{"api-extensions"},
		ClusterScoped: true,
		New: func() *admissionv1.MutatingAdmissionPolicyBinding {
			return &admissionv1.MutatingAdmissionPolicyBinding{}
		},
		NewList:                func() runtime.Object { return &admissionv1.MutatingAdmissionPolicyBindingList{} },
		RequireResourceVersion: true,
		Validate:               registry.Pure(admissionregistration.ValidateMutatingAdmissionPolicyBinding),
		ValidateUpdate:         registry.PureUpdate(admissionregistration.ValidateMutatingAdmissionPolicyBindingUpdate),
		Warnings: func(_ context.Context, b, old *admissionv1.MutatingAdmissionPolicyBinding) []string {
			if old == nil {
				return nil
			}
			return admissionregistration.NameWarnings(b.Name)
		},
		Extend: params.Binding(
			func(b *admissionv1.MutatingAdmissionPolicyBinding) params.Use {
				return params.Use{Policy: b.Spec.PolicyName, Ref: b.Spec.ParamRef}
			},
			"mutatingadmissionpolicies",
			func(policy runtime.Object) *admissionv1.ParamKind {
				return policy.(*admissionv1.MutatingAdmissionPolicy).Spec.ParamKind
			},
		),
		Table: &registry.Table[*admissionv1.MutatingAdmissionPolicyBinding]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Column("PolicyName"), registry.Column("ParamRef"), registry.Column("Age")},
			Cells: func(b *admissionv1.MutatingAdmissionPolicyBinding, now time.Time) []any {
				return []any{b.Name, b.Spec.PolicyName, params.RefCell(b.Spec.ParamRef), registry.Age(b.CreationTimestamp, now)}
			},
		},
	}.Resource()
}
