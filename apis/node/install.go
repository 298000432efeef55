// Package node installs and validates the node.k8s.io group. It has no defaults:
// upstream does not round an overhead either, see pkg/apis/node/v1/doc.go.
//
// The API of this package is not stable: see docs/api.md.
package node

import (
	"fmt"

	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers node.k8s.io/v1 and its hub in s.
func Install(s *runtime.Scheme) error {
	if err := nodev1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", nodev1.SchemeGroupVersion, err)
	}
	return hub.Add(s, nodev1.SchemeGroupVersion)
}
