package authentication_test

import (
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/authentication"
)

func TestTokenRequest(t *testing.T) {
	if err := authentication.Install(runtime.NewScheme()); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		seconds *int64
		ok      bool
	}{{nil, true}, {ptr.To[int64](599), false}, {ptr.To[int64](600), true}, {ptr.To[int64](1 << 32), true}, {ptr.To[int64](1<<32 + 1), false}} {
		tr := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: tc.seconds}}
		authentication.SetTokenRequestDefaults(tr)
		if errs := authentication.ValidateTokenRequest(tr); (len(errs) == 0) != tc.ok {
			t.Errorf("%v: %v", *tr.Spec.ExpirationSeconds, errs)
		}
	}
}
