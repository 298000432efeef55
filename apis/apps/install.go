// Package apps installs, defaults and validates the apps group.
//
// The API of this package is not stable: see docs/api.md.
package apps

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers apps/v1, its hub, its defaults and field labels in s.
func Install(s *runtime.Scheme) error {
	if err := appsv1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", appsv1.SchemeGroupVersion, err)
	}
	addDefaults(s)
	return hub.Add(s, appsv1.SchemeGroupVersion)
}
