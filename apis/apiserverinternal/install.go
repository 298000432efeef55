// Package apiserverinternal installs and validates the group
// internal.apiserver.k8s.io: in which version API servers store a resource.
//
// The API of this package is not stable: see docs/api.md.
package apiserverinternal

import (
	"fmt"

	internalv1alpha1 "k8s.io/api/apiserverinternal/v1alpha1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers internal.apiserver.k8s.io/v1alpha1 and its hub in s.
func Install(s *runtime.Scheme) error {
	if err := internalv1alpha1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", internalv1alpha1.SchemeGroupVersion, err)
	}
	return hub.Add(s, internalv1alpha1.SchemeGroupVersion)
}
