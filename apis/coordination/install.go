// Package coordination installs and validates the coordination.k8s.io group.
package coordination

import (
	"fmt"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers coordination.k8s.io/v1 and its hub in s.
func Install(s *runtime.Scheme) error {
	if err := coordinationv1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", coordinationv1.SchemeGroupVersion, err)
	}
	return hub.Add(s, coordinationv1.SchemeGroupVersion)
}
