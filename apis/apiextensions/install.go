// Package apiextensions installs the apiextensions.k8s.io group.
//
// The API of this package is not stable: see docs/api.md.
package apiextensions

import (
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Install registers apiextensions.k8s.io/v1 in s. Other than elsewhere the hub
// is a set of types of its own: k8s.io/apiextensions-apiserver validates those.
func Install(s *runtime.Scheme) error {
	for _, add := range []func(*runtime.Scheme) error{apiextensions.AddToScheme, apiextensionsv1.AddToScheme} {
		if err := add(s); err != nil {
			return fmt.Errorf("registering %s: %w", apiextensionsv1.SchemeGroupVersion, err)
		}
	}
	return s.SetVersionPriority(apiextensionsv1.SchemeGroupVersion)
}
