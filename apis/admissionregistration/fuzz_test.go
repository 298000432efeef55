package admissionregistration_test

import (
	"testing"

	"github.com/coracle-k8s/coracle/apis/admissionregistration"
	"github.com/coracle-k8s/coracle/test/mangle"
)

func FuzzKinds(f *testing.F) {
	mangle.Kinds(f,
		mangle.Of(admissionregistration.ValidateValidatingWebhookConfiguration, admissionregistration.ValidateValidatingWebhookConfigurationUpdate),
		mangle.Of(admissionregistration.ValidateMutatingWebhookConfiguration, admissionregistration.ValidateMutatingWebhookConfigurationUpdate),
		mangle.Of(admissionregistration.ValidateValidatingAdmissionPolicy, admissionregistration.ValidateValidatingAdmissionPolicyUpdate, admissionregistration.ValidateValidatingAdmissionPolicyStatusUpdate),
		mangle.Of(admissionregistration.ValidateMutatingAdmissionPolicy, admissionregistration.ValidateMutatingAdmissionPolicyUpdate),
		mangle.Of(admissionregistration.ValidateValidatingAdmissionPolicyBinding, admissionregistration.ValidateValidatingAdmissionPolicyBindingUpdate),
		mangle.Of(admissionregistration.ValidateMutatingAdmissionPolicyBinding, admissionregistration.ValidateMutatingAdmissionPolicyBindingUpdate),
	)
}
