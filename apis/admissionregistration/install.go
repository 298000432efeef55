// Package admissionregistration installs, defaults and validates the group
// admissionregistration.k8s.io: webhooks, and policies written in CEL.
package admissionregistration

import (
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers admissionregistration.k8s.io/v1, its hub and its defaults in s.
func Install(s *runtime.Scheme) error {
	if err := admissionv1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", admissionv1.SchemeGroupVersion, err)
	}
	addDefaults(s)
	return hub.Add(s, admissionv1.SchemeGroupVersion)
}
