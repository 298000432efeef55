package authentication_test

import (
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/authentication"
	"github.com/coracle-k8s/coracle/test/mangle"
)

func FuzzKinds(f *testing.F) {
	mangle.Kinds(f, mangle.Of(func(r *authenticationv1.TokenRequest) field.ErrorList {
		defaulted := r.DeepCopy()
		authentication.SetTokenRequestDefaults(defaulted)
		return authentication.ValidateTokenRequest(defaulted)
	}))
}
