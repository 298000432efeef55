package core

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
)

const maxAffinitySeconds = 86400 // a day

// ValidateService validates a new Service, with what the allocators gave it.
func ValidateService(svc *corev1.Service) field.ErrorList {
	return append(objectMeta(&svc.ObjectMeta, true, apivalidation.NameIsDNSLabel), service(svc, nil)...)
}

func service(svc, old *corev1.Service) field.ErrorList {
	s, fldPath := &svc.Spec, field.NewPath("spec")
	errs := serviceAnnotations(svc, old)
	if s.Type == corev1.ServiceTypeExternalName {
		errs = append(errs, externalName(fldPath, s)...)
	} else if len(s.Ports) == 0 && s.ClusterIP != corev1.ClusterIPNone {
		errs = append(errs, field.Required(fldPath.Child("ports"), ""))
	}
	errs = append(errs, servicePorts(fldPath.Child("ports"), s)...)
	if s.Selector != nil {
		errs = append(errs, metavalidation.ValidateLabels(s.Selector, fldPath.Child("selector"))...)
	}
	errs = append(errs, sessionAffinity(fldPath, s)...)
	if s.Type == corev1.ServiceTypeLoadBalancer && s.ClusterIP == corev1.ClusterIPNone {
		errs = append(errs, field.Invalid(fldPath.Child("clusterIPs").Index(0), s.ClusterIP, "may not be set to 'None' for LoadBalancer services"))
	}
	if s.Type == corev1.ServiceTypeNodePort && s.ClusterIP == corev1.ClusterIPNone {
		errs = append(errs, field.Invalid(fldPath.Child("clusterIPs").Index(0), s.ClusterIP, "may not be set to 'None' for NodePort services"))
	}
	errs = append(errs, requiredOneOf(fldPath.Child("type"), s.Type, corev1.ServiceTypeClusterIP, corev1.ServiceTypeExternalName, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort)...)
	errs = append(errs, clusterIPs(fldPath, s, oldServiceIPs(old))...)
	errs = append(errs, externalIPs(fldPath.Child("externalIPs"), s.ExternalIPs, oldServiceIPs(old))...)
	errs = append(errs, nodePorts(fldPath, s)...)
	errs = append(errs, loadBalancer(fldPath, s, old)...)
	return append(errs, trafficPolicies(fldPath, svc)...)
}

// serviceAnnotations validates those that are older names of fields, or were
// fields before.
func serviceAnnotations(svc, old *corev1.Service) (errs field.ErrorList) {
	at := field.NewPath("metadata", "annotations")
	hints, hinted := svc.Annotations[corev1.DeprecatedAnnotationTopologyAwareHints]
	if mode, set := svc.Annotations[corev1.AnnotationTopologyMode]; set && hinted && mode != hints {
		errs = append(errs, field.Invalid(at.Key(corev1.AnnotationTopologyMode), mode,
			fmt.Sprintf("must match annotations[%s] when both are specified", corev1.DeprecatedAnnotationTopologyAwareHints)))
	}
	ranges, set := svc.Annotations[corev1.AnnotationLoadBalancerSourceRangesKey]
	if !set || len(svc.Spec.LoadBalancerSourceRanges) > 0 {
		return errs
	}
	at = at.Key(corev1.AnnotationLoadBalancerSourceRangesKey)
	if svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		errs = append(errs, field.Forbidden(at, "may only be used when `type` is 'LoadBalancer'"))
	}
	if ranges = strings.TrimSpace(ranges); ranges == "" || old != nil && old.Annotations[corev1.AnnotationLoadBalancerSourceRangesKey] == svc.Annotations[corev1.AnnotationLoadBalancerSourceRangesKey] {
		return errs
	}
	for _, r := range strings.Split(ranges, ",") {
		errs = append(errs, validation.IsValidCIDRForLegacyField(at, strings.TrimSpace(r), true, nil)...)
	}
	return errs
}

func oldServiceIPs(old *corev1.Service) []string {
	if old == nil {
		return nil
	}
	ips := append(slices.Clone(old.Spec.ClusterIPs), old.Spec.ExternalIPs...)
	for _, in := range old.Status.LoadBalancer.Ingress {
		ips = append(ips, in.IP)
	}
	return ips
}

func externalName(fldPath *field.Path, s *corev1.ServiceSpec) field.ErrorList {
	var errs field.ErrorList
	if len(s.ClusterIPs) > 0 || s.ClusterIP != "" {
		errs = append(errs, field.Forbidden(fldPath.Child("clusterIPs"), "may not be set for ExternalName services"))
	}
	if len(s.IPFamilies) > 0 {
		errs = append(errs, field.Forbidden(fldPath.Child("ipFamilies"), "may not be set for ExternalName services"))
	}
	if s.IPFamilyPolicy != nil {
		errs = append(errs, field.Forbidden(fldPath.Child("ipFamilyPolicy"), "may not be set for ExternalName services"))
	}
	name := strings.TrimSuffix(s.ExternalName, ".")
	if name == "" {
		return append(errs, field.Required(fldPath.Child("externalName"), ""))
	}
	return append(errs, invalid(fldPath.Child("externalName"), name, isSubdomain(name))...)
}

func servicePorts(fldPath *field.Path, s *corev1.ServiceSpec) field.ErrorList {
	var errs field.ErrorList
	names := sets.New[string]()
	type key struct {
		protocol corev1.Protocol
		port     int32
	}
	seen := sets.New[key]()
	for i := range s.Ports {
		p, at := &s.Ports[i], fldPath.Index(i)
		errs = append(errs, servicePort(at, p, len(s.Ports) > 1, s.ClusterIP == corev1.ClusterIPNone)...)
		if p.Name != "" {
			if names.Has(p.Name) {
				errs = append(errs, field.Duplicate(at.Child("name"), p.Name))
			}
			names.Insert(p.Name)
		}
		k := key{p.Protocol, p.Port}
		if seen.Has(k) {
			errs = append(errs, field.Duplicate(at, corev1.ServicePort{Protocol: p.Protocol, Port: p.Port}))
		}
		seen.Insert(k)
	}
	return errs
}

func servicePort(fldPath *field.Path, p *corev1.ServicePort, many, headless bool) field.ErrorList {
	var errs field.ErrorList
	if many && p.Name == "" {
		errs = append(errs, field.Required(fldPath.Child("name"), ""))
	} else if p.Name != "" {
		errs = append(errs, invalid(fldPath.Child("name"), p.Name, validation.IsDNS1123Label(p.Name))...)
	}
	errs = append(errs, invalid(fldPath.Child("port"), p.Port, validation.IsValidPortNum(int(p.Port)))...)
	errs = append(errs, requiredOneOf(fldPath.Child("protocol"), p.Protocol, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP)...)
	errs = append(errs, portNumberOrName(fldPath.Child("targetPort"), p.TargetPort)...)
	if p.AppProtocol != nil {
		errs = append(errs, invalid(fldPath.Child("appProtocol"), *p.AppProtocol, validation.IsQualifiedName(*p.AppProtocol))...)
	}
	return errs
}

func sessionAffinity(fldPath *field.Path, s *corev1.ServiceSpec) field.ErrorList {
	errs := requiredOneOf(fldPath.Child("sessionAffinity"), s.SessionAffinity, corev1.ServiceAffinityClientIP, corev1.ServiceAffinityNone)
	at := fldPath.Child("sessionAffinityConfig")
	switch s.SessionAffinity {
	case corev1.ServiceAffinityNone:
		if s.SessionAffinityConfig != nil {
			errs = append(errs, field.Forbidden(at, fmt.Sprintf("must not be set when session affinity is %s", corev1.ServiceAffinityNone)))
		}
	case corev1.ServiceAffinityClientIP:
		c := s.SessionAffinityConfig
		switch {
		case c == nil:
			errs = append(errs, field.Required(at, fmt.Sprintf("when session affinity type is %s", corev1.ServiceAffinityClientIP)))
		case c.ClientIP == nil:
			errs = append(errs, field.Required(at.Child("clientIP"), fmt.Sprintf("when session affinity type is %s", corev1.ServiceAffinityClientIP)))
		case c.ClientIP.TimeoutSeconds == nil:
			errs = append(errs, field.Required(at.Child("clientIP", "timeoutSeconds"), fmt.Sprintf("when session affinity type is %s", corev1.ServiceAffinityClientIP)))
		case *c.ClientIP.TimeoutSeconds <= 0 || *c.ClientIP.TimeoutSeconds > maxAffinitySeconds:
			errs = append(errs, field.Invalid(at.Child("clientIP", "timeoutSeconds"), *c.ClientIP.TimeoutSeconds,
				fmt.Sprintf("must be greater than 0 and less than %d", maxAffinitySeconds)))
		}
	}
	return errs
}

// clusterIPs validates addresses and families together: the addresses that are
// given fit the families that are given, in order, one of each family at most.
func clusterIPs(fldPath *field.Path, s *corev1.ServiceSpec, old []string) field.ErrorList {
	if s.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	errs := ipFamilies(fldPath, s)
	at := fldPath.Child("clusterIPs")
	if len(s.ClusterIPs) == 0 {
		if s.ClusterIP != "" {
			errs = append(errs, field.Required(at, ""))
		}
		return errs
	}
	if s.ClusterIP == "" {
		errs = append(errs, field.Invalid(at, s.ClusterIPs, "must be empty when `clusterIP` is not specified"))
	} else if s.ClusterIP != s.ClusterIPs[0] {
		errs = append(errs, field.Invalid(at, s.ClusterIPs, "first value must match `clusterIP`"))
	}
	for i, ip := range s.ClusterIPs {
		if i == 0 && ip == corev1.ClusterIPNone {
			if len(s.ClusterIPs) > 1 {
				errs = append(errs, field.Invalid(at, s.ClusterIPs, "'None' must be the first and only value"))
			}
			return errs
		}
		if bad := validation.IsValidIPForLegacyField(at.Index(i), ip, true, old); len(bad) > 0 {
			return append(errs, bad...)
		}
		if i < len(s.IPFamilies) && s.IPFamilies[i] == otherFamily(ip) {
			errs = append(errs, field.Invalid(at.Index(i), ip, fmt.Sprintf("expected an %v value as indicated by `ipFamilies[%v]`", s.IPFamilies[i], i)))
		}
	}
	if len(s.ClusterIPs) > 2 {
		errs = append(errs, field.Invalid(at, s.ClusterIPs, "may only hold up to 2 values"))
	}
	if len(s.ClusterIPs) == 2 && familyOf(s.ClusterIPs[0]) == familyOf(s.ClusterIPs[1]) {
		errs = append(errs, field.Invalid(at, s.ClusterIPs, "may specify no more than one IP for each IP family"))
	}
	return errs
}

func familyOf(ip string) corev1.IPFamily {
	if netutils.IsIPv6String(ip) {
		return corev1.IPv6Protocol
	}
	return corev1.IPv4Protocol
}

func otherFamily(ip string) corev1.IPFamily {
	if familyOf(ip) == corev1.IPv6Protocol {
		return corev1.IPv4Protocol
	}
	return corev1.IPv6Protocol
}

func ipFamilies(fldPath *field.Path, s *corev1.ServiceSpec) field.ErrorList {
	errs := optionalOneOf(fldPath.Child("ipFamilyPolicy"), s.IPFamilyPolicy,
		corev1.IPFamilyPolicySingleStack, corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack)
	at := fldPath.Child("ipFamilies")
	seen := sets.New[corev1.IPFamily]()
	for i, f := range s.IPFamilies {
		errs = append(errs, oneOf(at.Index(i), f, corev1.IPv4Protocol, corev1.IPv6Protocol)...)
		if seen.Has(f) {
			errs = append(errs, field.Duplicate(at.Index(i), f))
		}
		seen.Insert(f)
	}
	return errs
}

func externalIPs(fldPath *field.Path, list, old []string) field.ErrorList {
	var errs field.ErrorList
	for i, ip := range list {
		at := fldPath.Index(i)
		if bad := validation.IsValidIPForLegacyField(at, ip, true, old); len(bad) > 0 {
			errs = append(errs, bad...)
			continue
		}
		errs = append(errs, notSpecialIP(at, ip)...)
	}
	return errs
}

// notSpecialIP says that ip is nobody's own address: not loopback, not link
// local, not unspecified. Services and endpoints must not lead there.
func notSpecialIP(fldPath *field.Path, ip string) field.ErrorList {
	addr := netutils.ParseIPSloppy(ip)
	var errs field.ErrorList
	for _, c := range []struct {
		is  bool
		msg string
	}{
		{addr.IsUnspecified(), fmt.Sprintf("may not be unspecified (%v)", ip)},
		{addr.IsLoopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)"},
		{addr.IsLinkLocalUnicast(), "may not be in the link-local range (169.254.0.0/16, fe80::/10)"},
		{addr.IsLinkLocalMulticast(), "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"},
	} {
		if c.is {
			errs = append(errs, field.Invalid(fldPath, ip, c.msg))
		}
	}
	return errs
}

func nodePorts(fldPath *field.Path, s *corev1.ServiceSpec) field.ErrorList {
	var errs field.ErrorList
	type key struct {
		protocol corev1.Protocol
		port     int32
	}
	seen := sets.New[key]()
	for i, p := range s.Ports {
		if p.NodePort == 0 {
			continue
		}
		at := fldPath.Child("ports").Index(i).Child("nodePort")
		if s.Type == corev1.ServiceTypeClusterIP {
			errs = append(errs, field.Forbidden(at, "may not be used when `type` is 'ClusterIP'"))
		}
		k := key{p.Protocol, p.NodePort}
		if seen.Has(k) {
			errs = append(errs, field.Duplicate(at, p.NodePort))
		}
		seen.Insert(k)
	}
	return errs
}

func loadBalancer(fldPath *field.Path, s *corev1.ServiceSpec, old *corev1.Service) field.ErrorList {
	var errs field.ErrorList
	isLB := s.Type == corev1.ServiceTypeLoadBalancer
	var oldRanges []string
	if old != nil {
		oldRanges = old.Spec.LoadBalancerSourceRanges
	}
	at := fldPath.Child("LoadBalancerSourceRanges") // upstream writes it so
	if len(s.LoadBalancerSourceRanges) > 0 && !isLB {
		errs = append(errs, field.Forbidden(at, "may only be used when `type` is 'LoadBalancer'"))
	}
	for i, r := range s.LoadBalancerSourceRanges {
		errs = append(errs, validation.IsValidCIDRForLegacyField(at.Index(i), strings.TrimSpace(r), true, oldRanges)...)
	}
	if s.AllocateLoadBalancerNodePorts != nil && !isLB {
		errs = append(errs, field.Forbidden(fldPath.Child("allocateLoadBalancerNodePorts"), "may only be used when `type` is 'LoadBalancer'"))
	}
	if isLB && s.AllocateLoadBalancerNodePorts == nil {
		errs = append(errs, field.Required(field.NewPath("allocateLoadBalancerNodePorts"), ""))
	}
	switch c := s.LoadBalancerClass; {
	case c == nil:
		return errs
	case !isLB:
		return append(errs, field.Forbidden(fldPath.Child("loadBalancerClass"), "may only be used when `type` is 'LoadBalancer'"))
	default:
		return append(errs, invalid(fldPath.Child("loadBalancerClass"), *c, validation.IsQualifiedName(*c))...)
	}
}

func trafficPolicies(fldPath *field.Path, svc *corev1.Service) field.ErrorList {
	s := &svc.Spec
	var errs field.ErrorList
	at := fldPath.Child("externalTrafficPolicy")
	switch external := externallyAccessible(svc); {
	case !external && s.ExternalTrafficPolicy != "":
		errs = append(errs, field.Invalid(at, s.ExternalTrafficPolicy, "may only be set for externally-accessible services"))
	case external:
		errs = append(errs, requiredOneOf(at, s.ExternalTrafficPolicy, corev1.ServiceExternalTrafficPolicyCluster, corev1.ServiceExternalTrafficPolicyLocal)...)
	}
	at = fldPath.Child("healthCheckNodePort")
	switch port := s.HealthCheckNodePort; {
	case needsHealthCheck(s) && port == 0:
		errs = append(errs, field.Required(at, ""))
	case needsHealthCheck(s):
		errs = append(errs, invalid(at, port, validation.IsValidPortNum(int(port)))...)
	case port != 0:
		errs = append(errs, field.Invalid(at, port, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"))
	}
	at = fldPath.Child("internalTrafficPolicy")
	switch {
	case s.InternalTrafficPolicy != nil:
		errs = append(errs, oneOf(at, *s.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster, corev1.ServiceInternalTrafficPolicyLocal)...)
	case s.Type != corev1.ServiceTypeExternalName:
		errs = append(errs, field.Required(at, ""))
	}
	return append(errs, optionalOneOf(fldPath.Child("trafficDistribution"), s.TrafficDistribution,
		corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone, corev1.ServiceTrafficDistributionPreferSameNode)...)
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
			errs = append(errs, optionalOneOf(at.Child("ipMode"), in.IPMode, corev1.LoadBalancerIPModeProxy, corev1.LoadBalancerIPModeVIP)...)
		}
		if in.Hostname == "" {
			continue
		}
		errs = append(errs, invalid(at.Child("hostname"), in.Hostname, isSubdomain(in.Hostname))...)
		if netutils.ParseIPSloppy(in.Hostname) != nil {
			errs = append(errs, field.Invalid(at.Child("hostname"), in.Hostname, "must be a DNS name, not an IP address"))
		}
	}
	return errs
}
