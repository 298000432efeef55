package warnings

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ServiceWarnings returns warnings about what is legal in a Service but probably a mistake or on
// its way out.
func ServiceWarnings(svc *corev1.Service) []string {
	w := warner{}
	spec, s := field.NewPath("spec"), &svc.Spec
	due := func(text string, due bool) {
		if due {
			w.list = append(w.list, text)
		}
	}
	if _, ok := svc.Annotations[corev1.DeprecatedAnnotationTopologyAwareHints]; ok {
		w.list = append(w.list, fmt.Sprintf("annotation %s is deprecated, please use %s instead", corev1.DeprecatedAnnotationTopologyAwareHints, corev1.AnnotationTopologyMode))
	}
	if s.ClusterIP != "" && s.ClusterIP != corev1.ClusterIPNone {
		for i, ip := range s.ClusterIPs {
			w.ip(spec.Child("clusterIPs").Index(i), ip)
		}
	}
	headless := s.Type == corev1.ServiceTypeClusterIP && s.ClusterIP == corev1.ClusterIPNone
	named, external := s.Type == corev1.ServiceTypeExternalName, len(s.ExternalIPs) > 0
	due("spec.loadBalancerIP is ignored for headless services", headless && s.LoadBalancerIP != "")
	due("spec.externalIPs is ignored for headless services", headless && external)
	due("spec.SessionAffinity is ignored for headless services", headless && s.SessionAffinity != corev1.ServiceAffinityNone)
	for i, ip := range s.ExternalIPs {
		w.ip(spec.Child("externalIPs").Index(i), ip)
	}
	due("spec.externalIPs is deprecated and may no longer be implemented in some clusters", external && !headless && !named)
	if s.LoadBalancerIP != "" {
		w.ip(spec.Child("loadBalancerIP"), s.LoadBalancerIP)
	}
	for i, c := range s.LoadBalancerSourceRanges {
		w.cidr(spec.Child("loadBalancerSourceRanges").Index(i), c)
	}
	due(`spec.externalIPs is ignored when spec.type is "ExternalName"`, external && named)
	due(`spec.externalName is ignored when spec.type is not "ExternalName"`, s.ExternalName != "" && !named)
	if t := s.TrafficDistribution; t != nil && *t == corev1.ServiceTrafficDistributionPreferClose {
		w.add(spec.Child("trafficDistribution"), "%q is deprecated; use %q", *t, corev1.ServiceTrafficDistributionPreferSameZone)
	}
	return w.list
}

// LoadBalancerWarnings returns a warning for each ambiguous address of a Service's status.
func LoadBalancerWarnings(svc *corev1.Service) []string {
	w := warner{}
	for i, in := range svc.Status.LoadBalancer.Ingress {
		if in.IP != "" {
			w.ip(field.NewPath("status", "loadBalancer", "ingress").Index(i), in.IP)
		}
	}
	return w.list
}
