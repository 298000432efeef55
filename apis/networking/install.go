// Package networking installs, defaults and validates the networking.k8s.io
// group.
//
// The API of this package is not stable: see docs/api.md.
package networking

import (
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers networking.k8s.io/v1, its hub and its defaults in s.
func Install(s *runtime.Scheme) error {
	if err := networkingv1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", networkingv1.SchemeGroupVersion, err)
	}
	addDefaults(s)
	return hub.Add(s, networkingv1.SchemeGroupVersion)
}
