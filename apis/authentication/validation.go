package authentication

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

const (
	// DefaultTokenSeconds is the life of a token that asks for none: an hour.
	DefaultTokenSeconds = 60 * 60
	// minTokenSeconds is ten minutes.
	minTokenSeconds = 10 * 60
	maxTokenSeconds = 1 << 32
)

// SetTokenRequestDefaults fills in what clients may leave out.
func SetTokenRequestDefaults(tr *authenticationv1.TokenRequest) {
	if tr.Spec.ExpirationSeconds == nil {
		tr.Spec.ExpirationSeconds = ptr.To[int64](DefaultTokenSeconds)
	}
}

// ValidateTokenRequest checks a defaulted request.
func ValidateTokenRequest(tr *authenticationv1.TokenRequest) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("spec")
	switch seconds := ptr.Deref(tr.Spec.ExpirationSeconds, 0); {
	case seconds < minTokenSeconds:
		errs = append(errs, field.Invalid(path.Child("expirationSeconds"), seconds, "may not specify a duration less than 10 minutes"))
	case seconds > maxTokenSeconds:
		errs = append(errs, field.Invalid(path.Child("expirationSeconds"), seconds, "may not specify a duration larger than 2^32 seconds"))
	}
	at := path.Child("attestations")
	if !ForWebhook(tr.Spec.BoundObjectRef) {
		if len(tr.Spec.Attestations) > 0 {
			return field.ErrorList{field.Invalid(at, tr.Spec.Attestations, "attestations may only be specified with a webhook bound object reference")}
		}
		return errs
	}
	if len(tr.Spec.Audiences) != 1 {
		errs = append(errs, field.Invalid(path.Child("audiences"), tr.Spec.Audiences, "must be length 1 when bound to a webhook config"))
	}
	if len(tr.Spec.Attestations) != 1 {
		return append(errs, field.Invalid(at, tr.Spec.Attestations, "webhook bound requests require exactly one admissionReviewAPIGroups attestation"))
	}
	for key, values := range tr.Spec.Attestations {
		errs = append(errs, validateAttestation(key, values, at.Key(key))...)
	}
	return errs
}

// ForWebhook reports whether a token shall be bound to a configuration of webhooks.
func ForWebhook(ref *authenticationv1.BoundObjectReference) bool {
	if ref == nil || ref.APIVersion != admissionregistrationv1.SchemeGroupVersion.String() {
		return false
	}
	return ref.Kind == "ValidatingWebhookConfiguration" || ref.Kind == "MutatingWebhookConfiguration"
}

func validateAttestation(key string, values []string, at *field.Path) field.ErrorList {
	if key != authenticationv1.AttestationAdmissionReviewAPIGroups {
		return field.ErrorList{field.NotSupported(at, key, []string{authenticationv1.AttestationAdmissionReviewAPIGroups})}
	}
	if len(values) != 1 {
		return field.ErrorList{field.Invalid(at, values, "must specify a single value")}
	}
	var errs field.ErrorList
	switch group := values[0]; group {
	case "":
		errs = append(errs, field.Invalid(at.Index(0), group, "may not be an empty string"))
	case "*":
	default:
		for _, msg := range validation.IsDNS1123Subdomain(group) {
			errs = append(errs, field.Invalid(at.Index(0), group, "must specify a valid API Group: "+msg))
		}
	}
	return errs
}
