// Package storage installs, defaults and validates the storage.k8s.io group.
//
// The API of this package is not stable: see docs/api.md.
package storage

import (
	"fmt"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers storage.k8s.io/v1, its hub and its defaults in s.
func Install(s *runtime.Scheme) error {
	if err := storagev1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", storagev1.SchemeGroupVersion, err)
	}
	addDefaults(s)
	return hub.Add(s, storagev1.SchemeGroupVersion)
}
