// Package policy installs and validates the policy group.
//
// The API of this package is not stable: see docs/api.md.
package policy

import (
	"fmt"

	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers policy/v1 and its hub in s.
func Install(s *runtime.Scheme) error {
	if err := policyv1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", policyv1.SchemeGroupVersion, err)
	}
	return hub.Add(s, policyv1.SchemeGroupVersion)
}
