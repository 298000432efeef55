// Package service answers the questions that many parts ask of a Service. Every function
// is pure.
//
// The API of this package is not stable: see docs/api.md.
package service

import corev1 "k8s.io/api/core/v1"

// ExternallyAccessible reports whether clients outside the cluster may reach svc.
func ExternallyAccessible(svc *corev1.Service) bool {
	switch svc.Spec.Type {
	case corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort:
		return true
	case corev1.ServiceTypeClusterIP:
		return len(svc.Spec.ExternalIPs) > 0
	}
	return false
}
