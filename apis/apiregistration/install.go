// Package apiregistration installs the apiregistration.k8s.io group.
//
// The API of this package is not stable: see docs/api.md.
package apiregistration

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// Install registers apiregistration.k8s.io/v1 in s. Other than elsewhere the
// hub is a set of types of its own: k8s.io/kube-aggregator validates those.
func Install(s *runtime.Scheme) error {
	for _, add := range []func(*runtime.Scheme) error{apiregistration.AddToScheme, apiregistrationv1.AddToScheme} {
		if err := add(s); err != nil {
			return fmt.Errorf("registering %s: %w", apiregistrationv1.SchemeGroupVersion, err)
		}
	}
	return s.SetVersionPriority(apiregistrationv1.SchemeGroupVersion)
}
