// Package authentication installs and validates the authentication.k8s.io
// group: token requests and reviews. Nothing of it is stored.
//
// The API of this package is not stable: see docs/api.md.
package authentication

import (
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers authentication.k8s.io/v1, its hub and its defaults in s.
func Install(s *runtime.Scheme) error {
	if err := authenticationv1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", authenticationv1.SchemeGroupVersion, err)
	}
	s.AddTypeDefaultingFunc(&authenticationv1.TokenRequest{}, func(obj any) { SetTokenRequestDefaults(obj.(*authenticationv1.TokenRequest)) })
	return hub.Add(s, authenticationv1.SchemeGroupVersion)
}
