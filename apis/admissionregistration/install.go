// Package admissionregistration installs, defaults and validates the group
// admissionregistration.k8s.io: webhooks, and policies written in CEL.
//
// The API of this package is not stable: see docs/api.md.
package admissionregistration

import (
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	admissionv1alpha1 "k8s.io/api/admissionregistration/v1alpha1"
	admissionv1beta1 "k8s.io/api/admissionregistration/v1beta1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers admissionregistration.k8s.io/v1, its hub and its defaults in s,
// and of v1beta1 and v1alpha1 what Kubernetes still serves.
func Install(s *runtime.Scheme) error {
	if err := admissionv1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", admissionv1.SchemeGroupVersion, err)
	}
	addDefaults(s)
	if err := hub.Add(s, admissionv1.SchemeGroupVersion); err != nil {
		return err
	}
	if err := hub.AddVersion(s, admissionv1beta1.SchemeGroupVersion, []runtime.Object{
		&admissionv1beta1.MutatingAdmissionPolicy{}, &admissionv1beta1.MutatingAdmissionPolicyList{},
		&admissionv1beta1.MutatingAdmissionPolicyBinding{}, &admissionv1beta1.MutatingAdmissionPolicyBindingList{},
	}); err != nil {
		return err
	}
	return hub.AddVersion(s, admissionv1alpha1.SchemeGroupVersion, []runtime.Object{
		&admissionv1alpha1.MutatingAdmissionPolicy{}, &admissionv1alpha1.MutatingAdmissionPolicyList{},
		&admissionv1alpha1.MutatingAdmissionPolicyBinding{}, &admissionv1alpha1.MutatingAdmissionPolicyBindingList{},
	}, hub.NewDefaults(func(b *admissionv1alpha1.MutatingAdmissionPolicyBinding, hubs func()) {
		if b.Spec.ParamRef != nil {
			orElse(&b.Spec.ParamRef.ParameterNotFoundAction, admissionv1alpha1.DenyAction)
		}
		hubs()
	}))
}
