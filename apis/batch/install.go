// Package batch installs, defaults and validates the batch group.
//
// The API of this package is not stable: see docs/api.md.
package batch

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers batch/v1, its hub, its defaults and field labels in s.
func Install(s *runtime.Scheme) error {
	if err := batchv1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", batchv1.SchemeGroupVersion, err)
	}
	addDefaults(s)
	if err := s.AddFieldLabelConversionFunc(batchv1.SchemeGroupVersion.WithKind("Job"), jobLabel); err != nil {
		return fmt.Errorf("registering field labels of %s: %w", batchv1.SchemeGroupVersion, err)
	}
	return hub.Add(s, batchv1.SchemeGroupVersion)
}

func jobLabel(label, value string) (string, string, error) {
	switch label {
	case "metadata.name", "metadata.namespace", "status.successful":
		return label, value, nil
	}
	return "", "", fmt.Errorf("field label %q not supported for Job", label)
}
