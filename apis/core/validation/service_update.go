package validation

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/internal/check"
)

const onceSet = "may not change once set"

// ValidateServiceUpdate validates an update of a Service, after the allocators
// have given what it needs: its cluster addresses stay as long as it has some.
func ValidateServiceUpdate(svc, old *corev1.Service) field.ErrorList {
	errs := check.ObjectMetaUpdate(&svc.ObjectMeta, &old.ObjectMeta)
	fldPath := field.NewPath("spec")
	if svc.Spec.Type != corev1.ServiceTypeExternalName && old.Spec.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, clusterIPsUpdate(fldPath, &svc.Spec, &old.Spec)...)
		errs = append(errs, ipFamiliesUpdate(fldPath, &svc.Spec, &old.Spec)...)
	}
	if old.Spec.Type == corev1.ServiceTypeLoadBalancer && svc.Spec.Type == corev1.ServiceTypeLoadBalancer &&
		!ptr.Equal(svc.Spec.LoadBalancerClass, old.Spec.LoadBalancerClass) {
		errs = append(errs, field.Invalid(fldPath.Child("loadBalancerClass"), svc.Spec.LoadBalancerClass, onceSet))
	}
	errs = append(errs, loadBalancerClass(fldPath.Child("loadBalancerClass"), &svc.Spec)...) // here too, as upstream
	if needsHealthCheck(&old.Spec) && needsHealthCheck(&svc.Spec) && svc.Spec.HealthCheckNodePort != old.Spec.HealthCheckNodePort {
		errs = append(errs, field.Forbidden(fldPath.Child("healthCheckNodePort"), apivalidation.FieldImmutableErrorMsg))
	}
	return append(errs, validateService(svc, old)...)
}

func needsHealthCheck(s *corev1.ServiceSpec) bool {
	return s.Type == corev1.ServiceTypeLoadBalancer && s.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}

// clusterIPsUpdate validates that the first address never changes, and that the
// second may come and go, but not change either.
func clusterIPsUpdate(fldPath *field.Path, s, old *corev1.ServiceSpec) field.ErrorList {
	if headless(s) && headless(old) {
		return nil
	}
	at, now, was := fldPath.Child("clusterIPs"), s.ClusterIPs, old.ClusterIPs
	var errs field.ErrorList
	compare := 1 // how many addresses stay
	if len(now) == len(was) {
		compare = len(now)
	}
	if len(was) > len(now) && len(now) == 0 {
		errs = append(errs, field.Invalid(at.Index(0), now, "primary clusterIP can not be unset"))
	}
	for i := range min(compare, len(now), len(was)) {
		if now[i] != was[i] {
			errs = append(errs, field.Invalid(at.Index(i), now, onceSet))
		}
	}
	if len(was) > len(now) && len(now) == 1 && !singleStack(s) {
		errs = append(errs, field.Invalid(fldPath.Child("ipFamilyPolicy"), s.IPFamilyPolicy, "must be set to 'SingleStack' when releasing the secondary clusterIP"))
	}
	return errs
}

func singleStack(s *corev1.ServiceSpec) bool {
	return s.IPFamilyPolicy != nil && *s.IPFamilyPolicy == corev1.IPFamilyPolicySingleStack
}

// ipFamiliesUpdate validates the same of families. Upstream reports all changes
// as the first one's, and shows addresses where the number of families changes.
func ipFamiliesUpdate(fldPath *field.Path, s, old *corev1.ServiceSpec) field.ErrorList {
	if headless(s) || headless(old) {
		return nil
	}
	first, now, was := fldPath.Child("ipFamilies").Index(0), s.IPFamilies, old.IPFamilies
	var errs field.ErrorList
	if len(now) == len(was) {
		if !slices.Equal(now, was) {
			errs = append(errs, field.Invalid(first, now, onceSet))
		}
		return errs
	}
	if len(was) > len(now) && len(s.ClusterIPs) == 0 {
		errs = append(errs, field.Invalid(first, now, "primary ipFamily can not be unset"))
	}
	if len(now) > 0 && len(was) > 0 && now[0] != was[0] {
		errs = append(errs, field.Invalid(first, s.ClusterIPs, onceSet))
	}
	if len(was) > len(now) && len(now) == 1 && !singleStack(s) {
		errs = append(errs, field.Invalid(fldPath.Child("ipFamilyPolicy"), s.IPFamilyPolicy, "must be set to 'SingleStack' when releasing the secondary ipFamily"))
	}
	return errs
}

// ValidateServiceStatusUpdate validates the subresource status.
func ValidateServiceStatusUpdate(svc, old *corev1.Service) field.ErrorList {
	errs := check.ObjectMetaUpdate(&svc.ObjectMeta, &old.ObjectMeta)
	var ips []string
	for _, in := range old.Status.LoadBalancer.Ingress {
		if in.IP != "" {
			ips = append(ips, in.IP)
		}
	}
	return append(errs, loadBalancerStatus(field.NewPath("status", "loadBalancer"), svc, ips)...)
}

func loadBalancerStatus(fldPath *field.Path, svc *corev1.Service, old []string) field.ErrorList {
	list := svc.Status.LoadBalancer.Ingress
	at := fldPath.Child("ingress")
	if svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		if len(list) > 0 {
			return field.ErrorList{field.Forbidden(at, "may only be used when `spec.type` is 'LoadBalancer'")}
		}
		return nil
	}
	var errs field.ErrorList
	for i, in := range list {
		at := at.Index(i)
		if in.IP != "" {
			errs = append(errs, validation.IsValidIPForLegacyField(at.Child("ip"), in.IP, true, old)...)
		}
		switch {
		case in.IP == "" && in.IPMode != nil:
			errs = append(errs, field.Forbidden(at.Child("ipMode"), "may not be specified when `ip` is not set"))
		case in.IP != "" && in.IPMode == nil:
			errs = append(errs, field.Required(at.Child("ipMode"), "must be specified when `ip` is set"))
		default:
			errs = append(errs, check.OptionalOneOf(at.Child("ipMode"), in.IPMode, corev1.LoadBalancerIPModeProxy, corev1.LoadBalancerIPModeVIP)...)
		}
		if in.Hostname == "" {
			continue
		}
		errs = append(errs, check.Invalid(at.Child("hostname"), in.Hostname, check.IsSubdomain(in.Hostname))...)
		if netutils.ParseIPSloppy(in.Hostname) != nil {
			errs = append(errs, field.Invalid(at.Child("hostname"), in.Hostname, "must be a DNS name, not an IP address"))
		}
	}
	return errs
}
