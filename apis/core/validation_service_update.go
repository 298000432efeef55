package core

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateServiceUpdate validates an update of a Service, after the allocators
// have given what it needs: its cluster addresses stay as long as it has some.
func ValidateServiceUpdate(svc, old *corev1.Service) field.ErrorList {
	errs := objectMetaUpdate(&svc.ObjectMeta, &old.ObjectMeta)
	fldPath := field.NewPath("spec")
	errs = append(errs, clusterIPsUpdate(fldPath, &svc.Spec, &old.Spec)...)
	if old.Spec.Type == corev1.ServiceTypeLoadBalancer && svc.Spec.Type == corev1.ServiceTypeLoadBalancer {
		errs = append(errs, unchanged(fldPath.Child("loadBalancerClass"), svc.Spec.LoadBalancerClass, old.Spec.LoadBalancerClass)...)
	}
	if was := old.Spec.HealthCheckNodePort; was != 0 && needsHealthCheck(&old.Spec) && needsHealthCheck(&svc.Spec) {
		errs = append(errs, unchanged(fldPath.Child("healthCheckNodePort"), svc.Spec.HealthCheckNodePort, was)...)
	}
	return append(errs, service(svc, old)...)
}

func needsHealthCheck(s *corev1.ServiceSpec) bool {
	return s.Type == corev1.ServiceTypeLoadBalancer && s.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}

// clusterIPsUpdate says that the first address never changes, and that the
// second may come and go, but not change either.
func clusterIPsUpdate(fldPath *field.Path, s, old *corev1.ServiceSpec) field.ErrorList {
	if s.Type == corev1.ServiceTypeExternalName || old.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	var errs field.ErrorList
	for i := range min(len(s.ClusterIPs), len(old.ClusterIPs)) {
		if old.ClusterIPs[i] != "" && s.ClusterIPs[i] != old.ClusterIPs[i] {
			errs = append(errs, field.Invalid(fldPath.Child("clusterIPs").Index(i), s.ClusterIPs, "may not change once set"))
		}
	}
	if len(old.ClusterIPs) > 0 && len(s.ClusterIPs) == 0 {
		errs = append(errs, field.Invalid(fldPath.Child("clusterIPs").Index(0), s.ClusterIPs, "primary clusterIP can not be unset"))
	}
	for i := range min(len(s.IPFamilies), len(old.IPFamilies)) {
		if s.IPFamilies[i] != old.IPFamilies[i] {
			errs = append(errs, field.Invalid(fldPath.Child("ipFamilies").Index(i), s.IPFamilies, "may not change once set"))
		}
	}
	single := s.IPFamilyPolicy != nil && *s.IPFamilyPolicy == corev1.IPFamilyPolicySingleStack
	if len(old.ClusterIPs) > 1 && len(s.ClusterIPs) == 1 && !single && slices.Contains(old.ClusterIPs, s.ClusterIPs[0]) {
		errs = append(errs, field.Invalid(fldPath.Child("ipFamilyPolicy"), s.IPFamilyPolicy, "must be set to 'SingleStack' when releasing the secondary clusterIP"))
	}
	return errs
}

// ValidateServiceStatusUpdate validates the subresource status.
func ValidateServiceStatusUpdate(svc, old *corev1.Service) field.ErrorList {
	errs := objectMetaUpdate(&svc.ObjectMeta, &old.ObjectMeta)
	return append(errs, loadBalancerStatus(field.NewPath("status", "loadBalancer"), svc, oldServiceIPs(old))...)
}
