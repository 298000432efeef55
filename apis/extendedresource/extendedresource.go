// Package extendedresource distinguishes Kubernetes' own resources from those that nodes or device
// classes add, see
// https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#extended-resources.
//
// The API of this package is not stable: see docs/api.md.
package extendedresource

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Native reports whether name belongs to Kubernetes itself.
func Native(name corev1.ResourceName) bool {
	return !strings.Contains(string(name), "/") || strings.Contains(string(name), corev1.ResourceDefaultNamespacePrefix)
}

// Is reports whether name is an extended resource's: it has a domain that is not
// Kubernetes' own, and leaves room for the prefix that a quota puts before it.
func Is(name corev1.ResourceName) bool {
	if Native(name) || strings.HasPrefix(string(name), corev1.DefaultResourceRequestsPrefix) {
		return false
	}
	return len(validation.IsQualifiedName(corev1.DefaultResourceRequestsPrefix+string(name))) == 0
}
