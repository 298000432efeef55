// Package apps installs, defaults and validates the apps group.
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
	if err := s.AddFieldLabelConversionFunc(appsv1.SchemeGroupVersion.WithKind("ReplicaSet"), replicaSetLabel); err != nil {
		return fmt.Errorf("registering field labels of %s: %w", appsv1.SchemeGroupVersion, err)
	}
	return hub.Add(s, appsv1.SchemeGroupVersion)
}

func replicaSetLabel(label, value string) (string, string, error) {
	switch label {
	case "metadata.name", "metadata.namespace", "status.replicas":
		return label, value, nil
	}
	return "", "", fmt.Errorf("field label not supported: %s", label)
}
