package validation

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/coracle-k8s/coracle/apis/core/service"
	"github.com/coracle-k8s/coracle/apis/core/validation/container"
	"github.com/coracle-k8s/coracle/apis/hub"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

const maxAffinitySeconds = 86400 // a day

// ValidateService validates a new Service, with what the allocators gave it.
func ValidateService(svc *corev1.Service) field.ErrorList {
	return append(check.ObjectMeta(&svc.ObjectMeta, true, apivalidation.NameIsDNSLabel), validateService(svc, nil)...)
}

// headless reports whether a Service has no address of its own.
func headless(s *corev1.ServiceSpec) bool {
	return len(s.ClusterIPs) == 1 && s.ClusterIPs[0] == corev1.ClusterIPNone
}

// validateService validates a Service in upstream's order; old is nil for a new one.
func validateService(svc, old *corev1.Service) field.ErrorList {
	s, fldPath := &svc.Spec, field.NewPath("spec")
	if old == nil {
		old = &corev1.Service{}
	}
	errs := topologyAnnotations(svc)
	if len(s.Ports) == 0 && !headless(s) && s.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Required(fldPath.Child("ports"), ""))
	}
	switch s.Type {
	case corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort:
		if headless(s) {
			errs = append(errs, field.Invalid(fldPath.Child("clusterIPs").Index(0), s.ClusterIPs[0], fmt.Sprintf("may not be set to 'None' for %s services", s.Type)))
		}
	case corev1.ServiceTypeExternalName:
		errs = append(errs, externalName(fldPath, s)...)
	}
	names := sets.New[string]()
	for i := range s.Ports {
		errs = append(errs, servicePort(fldPath.Child("ports").Index(i), &s.Ports[i], len(s.Ports) > 1, names)...)
	}
	if s.Selector != nil {
		errs = append(errs, metavalidation.ValidateLabels(s.Selector, fldPath.Child("selector"))...)
	}
	errs = append(errs, sessionAffinity(fldPath, s)...)
	errs = append(errs, clusterIPs(fldPath, s, old.Spec.ClusterIPs)...)
	errs = append(errs, externalIPs(fldPath.Child("externalIPs"), s.ExternalIPs, old.Spec.ExternalIPs)...)
	errs = append(errs, check.RequiredOneOf(fldPath.Child("type"), s.Type, corev1.ServiceTypeClusterIP, corev1.ServiceTypeExternalName, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort)...)
	errs = append(errs, portsOnce(fldPath.Child("ports"), s)...)
	errs = append(errs, sourceRanges(fldPath, svc, old)...)
	errs = append(errs, loadBalancer(fldPath, s)...)
	return append(errs, trafficPolicies(fldPath, svc)...)
}

// topologyAnnotations validates that the older name of an annotation has the same value as the
// newer.
func topologyAnnotations(svc *corev1.Service) field.ErrorList {
	hints, hinted := svc.Annotations[corev1.DeprecatedAnnotationTopologyAwareHints]
	if mode, set := svc.Annotations[corev1.AnnotationTopologyMode]; set && hinted && mode != hints {
		return field.ErrorList{field.Invalid(field.NewPath("metadata", "annotations").Key(corev1.AnnotationTopologyMode), mode,
			fmt.Sprintf("must match annotations[%s] when both are specified", corev1.DeprecatedAnnotationTopologyAwareHints))}
	}
	return nil
}

// sourceRanges validates from where a load balancer lets clients in, as field or
// as the annotation of old.
func sourceRanges(fldPath *field.Path, svc, old *corev1.Service) field.ErrorList {
	isLB := svc.Spec.Type == corev1.ServiceTypeLoadBalancer
	if list := svc.Spec.LoadBalancerSourceRanges; len(list) > 0 {
		at := fldPath.Child("LoadBalancerSourceRanges") // upstream writes it so
		errs := check.Forbid(lbOnly, check.Given(at, !isLB))
		var was []string
		for _, r := range old.Spec.LoadBalancerSourceRanges {
			was = append(was, strings.TrimSpace(r))
		}
		for i, r := range list {
			errs = append(errs, validation.IsValidCIDRForLegacyField(at.Index(i), strings.TrimSpace(r), true, was)...)
		}
		return errs
	}
	ranges, set := svc.Annotations[corev1.AnnotationLoadBalancerSourceRangesKey]
	if !set {
		return nil
	}
	at := field.NewPath("metadata", "annotations").Key(corev1.AnnotationLoadBalancerSourceRangesKey)
	errs := check.Forbid(lbOnly, check.Given(at, !isLB))
	if strings.TrimSpace(ranges) == "" || old.Annotations[corev1.AnnotationLoadBalancerSourceRangesKey] == ranges {
		return errs
	}
	for _, r := range strings.Split(strings.TrimSpace(ranges), ",") {
		errs = append(errs, validation.IsValidCIDRForLegacyField(at, strings.TrimSpace(r), true, nil)...)
	}
	return errs
}

func externalName(fldPath *field.Path, s *corev1.ServiceSpec) field.ErrorList {
	var errs field.ErrorList
	if len(s.ClusterIPs) > 0 {
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
	return append(errs, check.Invalid(fldPath.Child("externalName"), name, check.IsSubdomain(name))...)
}

// servicePort validates one port; names are those of the ports before it.
func servicePort(fldPath *field.Path, p *corev1.ServicePort, many bool, names sets.Set[string]) field.ErrorList {
	var errs field.ErrorList
	if many && p.Name == "" {
		errs = append(errs, field.Required(fldPath.Child("name"), ""))
	} else if p.Name != "" {
		errs = append(errs, check.Invalid(fldPath.Child("name"), p.Name, validation.IsDNS1123Label(p.Name))...)
		if names.Has(p.Name) {
			errs = append(errs, field.Duplicate(fldPath.Child("name"), p.Name))
		}
		names.Insert(p.Name)
	}
	errs = append(errs, check.Invalid(fldPath.Child("port"), p.Port, validation.IsValidPortNum(int(p.Port)))...)
	errs = append(errs, container.PortProtocol(fldPath.Child("protocol"), p.Protocol)...)
	errs = append(errs, check.PortNumberOrName(fldPath.Child("targetPort"), p.TargetPort)...)
	if p.AppProtocol != nil {
		errs = append(errs, check.Invalid(fldPath.Child("appProtocol"), *p.AppProtocol, validation.IsQualifiedName(*p.AppProtocol))...)
	}
	return errs
}

func sessionAffinity(fldPath *field.Path, s *corev1.ServiceSpec) field.ErrorList {
	errs := check.RequiredOneOf(fldPath.Child("sessionAffinity"), s.SessionAffinity, corev1.ServiceAffinityClientIP, corev1.ServiceAffinityNone)
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
	at := fldPath.Child("clusterIPs")
	var errs field.ErrorList
	switch {
	case s.ClusterIP != "" && len(s.ClusterIPs) == 0:
		errs = append(errs, field.Required(at, ""))
	case s.ClusterIP != "" && s.ClusterIP != s.ClusterIPs[0]:
		errs = append(errs, field.Invalid(at, s.ClusterIPs, "first value must match `clusterIP`"))
	case s.ClusterIP == "" && len(s.ClusterIPs) > 0:
		errs = append(errs, field.Invalid(at, s.ClusterIPs, "must be empty when `clusterIP` is not specified"))
	}
	errs = append(errs, ipFamilies(fldPath, s)...)
	good := true
	for i, ip := range s.ClusterIPs {
		var bad field.ErrorList
		if i > 0 || ip != corev1.ClusterIPNone {
			bad = validation.IsValidIPForLegacyField(at.Index(i), ip, true, old)
		} else if len(s.ClusterIPs) > 1 {
			bad = field.ErrorList{field.Invalid(at, s.ClusterIPs, "'None' must be the first and only value")}
		}
		good = good && len(bad) == 0
		errs = append(errs, bad...)
	}
	if len(s.ClusterIPs) > 2 {
		errs = append(errs, field.Invalid(at, s.ClusterIPs, "may only hold up to 2 values"))
	}
	if good && !headless(s) {
		errs = append(errs, addressFamilies(at, s)...)
	}
	return errs
}

// addressFamilies validates the families of addresses that are known to be good.
func addressFamilies(fldPath *field.Path, s *corev1.ServiceSpec) field.ErrorList {
	var errs field.ErrorList
	if len(s.ClusterIPs) > 1 {
		if dual, err := netutils.IsDualStackIPStrings(s.ClusterIPs); err != nil {
			errs = append(errs, field.InternalError(fldPath, fmt.Errorf("failed to check for dual stack with error:%w", err)))
		} else if !dual {
			errs = append(errs, field.Invalid(fldPath, s.ClusterIPs, "may specify no more than one IP for each IP family"))
		}
	}
	for i, ip := range s.ClusterIPs {
		if i < len(s.IPFamilies) && s.IPFamilies[i] == otherFamily(ip) {
			errs = append(errs, field.Invalid(fldPath.Index(i), ip, fmt.Sprintf("expected an %v value as indicated by `ipFamilies[%v]`", s.IPFamilies[i], i)))
		}
	}
	return errs
}

// otherFamily returns the family that ip is not of.
func otherFamily(ip string) corev1.IPFamily {
	if netutils.IsIPv6String(ip) {
		return corev1.IPv4Protocol
	}
	return corev1.IPv6Protocol
}

func ipFamilies(fldPath *field.Path, s *corev1.ServiceSpec) field.ErrorList {
	var errs field.ErrorList
	at := fldPath.Child("ipFamilies")
	seen := sets.New[corev1.IPFamily]()
	for i, f := range s.IPFamilies {
		errs = append(errs, check.OneOf(at.Index(i), f, corev1.IPv4Protocol, corev1.IPv6Protocol)...)
		if seen.Has(f) {
			errs = append(errs, field.Duplicate(at.Index(i), f))
		}
		seen.Insert(f)
	}
	return append(errs, check.OptionalOneOf(fldPath.Child("ipFamilyPolicy"), s.IPFamilyPolicy,
		corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack, corev1.IPFamilyPolicySingleStack)...)
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

// notSpecialIP validates that ip is none of a host's own addresses: not loopback,
// not link local, not unspecified. Services and endpoints must not lead there.
func notSpecialIP(fldPath *field.Path, ip string) field.ErrorList {
	addr := netutils.ParseIPSloppy(ip)
	if addr == nil {
		return field.ErrorList{field.Invalid(fldPath, ip, "must be a valid IP address")}
	}
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

// portsOnce validates that a Service has each port, and each port of the nodes, once.
func portsOnce(fldPath *field.Path, s *corev1.ServiceSpec) field.ErrorList {
	var errs field.ErrorList
	if s.Type == corev1.ServiceTypeClusterIP {
		for i, p := range s.Ports {
			errs = append(errs, check.Forbid("may not be used when `type` is 'ClusterIP'", check.Given(fldPath.Index(i).Child("nodePort"), p.NodePort != 0))...)
		}
	}
	seen := sets.New[corev1.ServicePort]()
	for i, p := range s.Ports {
		k := corev1.ServicePort{Protocol: p.Protocol, NodePort: p.NodePort}
		if p.NodePort != 0 && seen.Has(k) {
			errs = append(errs, field.Duplicate(fldPath.Index(i).Child("nodePort"), p.NodePort))
		}
		seen.Insert(k)
	}
	seen.Clear()
	for i, p := range s.Ports {
		k := corev1.ServicePort{Protocol: p.Protocol, Port: p.Port}
		if seen.Has(k) {
			errs = append(errs, field.Duplicate(fldPath.Index(i), hub.Internal(k)))
		}
		seen.Insert(k)
	}
	return errs
}

const lbOnly = "may only be used when `type` is 'LoadBalancer'"

func loadBalancer(fldPath *field.Path, s *corev1.ServiceSpec) field.ErrorList {
	isLB := s.Type == corev1.ServiceTypeLoadBalancer
	errs := check.Forbid(lbOnly, check.Given(fldPath.Child("allocateLoadBalancerNodePorts"), s.AllocateLoadBalancerNodePorts != nil && !isLB))
	if isLB && s.AllocateLoadBalancerNodePorts == nil {
		errs = append(errs, field.Required(field.NewPath("allocateLoadBalancerNodePorts"), ""))
	}
	return append(errs, loadBalancerClass(fldPath.Child("loadBalancerClass"), s)...)
}

func loadBalancerClass(fldPath *field.Path, s *corev1.ServiceSpec) field.ErrorList {
	class := s.LoadBalancerClass
	if class == nil || s.Type != corev1.ServiceTypeLoadBalancer {
		return check.Forbid(lbOnly, check.Given(fldPath, class != nil))
	}
	return check.Invalid(fldPath, *class, validation.IsQualifiedName(*class))
}

func trafficPolicies(fldPath *field.Path, svc *corev1.Service) field.ErrorList {
	s := &svc.Spec
	var errs field.ErrorList
	at := fldPath.Child("externalTrafficPolicy")
	switch external := service.ExternallyAccessible(svc); {
	case !external && s.ExternalTrafficPolicy != "":
		errs = append(errs, field.Invalid(at, s.ExternalTrafficPolicy, "may only be set for externally-accessible services"))
	case external:
		errs = append(errs, check.RequiredOneOf(at, s.ExternalTrafficPolicy, corev1.ServiceExternalTrafficPolicyCluster, corev1.ServiceExternalTrafficPolicyLocal)...)
	}
	at = fldPath.Child("healthCheckNodePort")
	switch port := s.HealthCheckNodePort; {
	case needsHealthCheck(s) && port == 0:
		errs = append(errs, field.Required(at, ""))
	case needsHealthCheck(s):
		errs = append(errs, check.Invalid(at, port, validation.IsValidPortNum(int(port)))...)
	case port != 0:
		errs = append(errs, field.Invalid(at, port, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"))
	}
	at = fldPath.Child("internalTrafficPolicy")
	switch {
	case s.InternalTrafficPolicy != nil:
		errs = append(errs, check.OneOf(at, *s.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster, corev1.ServiceInternalTrafficPolicyLocal)...)
	case s.Type == corev1.ServiceTypeNodePort || s.Type == corev1.ServiceTypeLoadBalancer || s.Type == corev1.ServiceTypeClusterIP:
		errs = append(errs, field.Required(at, ""))
	}
	return append(errs, check.OptionalOneOf(fldPath.Child("trafficDistribution"), s.TrafficDistribution,
		corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone, corev1.ServiceTrafficDistributionPreferSameNode)...)
}

// ValidateServiceAddresses validates cluster addresses and families, which the
// allocators ask for before they allocate; old is nil for a new Service.
func ValidateServiceAddresses(svc, old *corev1.Service) field.ErrorList {
	var ips []string
	if old != nil {
		ips = old.Spec.ClusterIPs
	}
	return clusterIPs(field.NewPath("spec"), &svc.Spec, ips)
}
