package authentication

import (
	authenticationv1 "k8s.io/api/authentication/v1"
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
	path := field.NewPath("spec").Child("expirationSeconds")
	seconds := ptr.Deref(tr.Spec.ExpirationSeconds, 0)
	switch {
	case seconds < minTokenSeconds:
		return field.ErrorList{field.Invalid(path, seconds, "may not specify a duration less than 10 minutes")}
	case seconds > maxTokenSeconds:
		return field.ErrorList{field.Invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")}
	}
	return nil
}
