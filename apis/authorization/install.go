// Package authorization installs and validates the authorization.k8s.io group:
// reviews of users' access. Nothing of it is stored.
//
// The API of this package is not stable: see docs/api.md.
package authorization

import (
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers authorization.k8s.io/v1 and its hub in s.
func Install(s *runtime.Scheme) error {
	if err := authorizationv1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", authorizationv1.SchemeGroupVersion, err)
	}
	return hub.Add(s, authorizationv1.SchemeGroupVersion)
}
