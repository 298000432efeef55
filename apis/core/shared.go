package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateTolerations validates tolerations outside of a pod.
func ValidateTolerations(list []corev1.Toleration, fldPath *field.Path) field.ErrorList {
	return tolerations(fldPath, list)
}

// ValidateResourceRequirements validates resources as a container has them.
func ValidateResourceRequirements(r *corev1.ResourceRequirements, fldPath *field.Path) field.ErrorList {
	return requirements(fldPath, r, containerResourceName, nil, PodOptions{})
}

// DeprecatedNodeLabel returns what to use instead of a node label, or that it is
// deprecated; "" for labels that are fine.
func DeprecatedNodeLabel(key string) string { return instead(key) }

// RoundResources rounds quantities up to thousandths, as they are stored.
func RoundResources(list corev1.ResourceList) { roundResources(list) }

// ValidateServiceAddresses validates cluster addresses and families, which the
// allocators ask for before they allocate; old is nil for a new Service.
func ValidateServiceAddresses(svc, old *corev1.Service) field.ErrorList {
	var ips []string
	if old != nil {
		ips = old.Spec.ClusterIPs
	}
	return clusterIPs(field.NewPath("spec"), &svc.Spec, ips)
}
