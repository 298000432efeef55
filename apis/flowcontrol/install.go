// Package flowcontrol installs, defaults and validates the group
// flowcontrol.apiserver.k8s.io: which requests the server answers first when it
// has too many.
//
// The API of this package is not stable: see docs/api.md.
package flowcontrol

import (
	"fmt"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers flowcontrol.apiserver.k8s.io/v1, its hub and its defaults in s.
func Install(s *runtime.Scheme) error {
	if err := flowcontrolv1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", flowcontrolv1.SchemeGroupVersion, err)
	}
	addDefaults(s)
	return hub.Add(s, flowcontrolv1.SchemeGroupVersion)
}
