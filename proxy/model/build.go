package model

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
)

// labelProxyName hands a Service to another proxy.
//
// https://kubernetes.io/docs/reference/labels-annotations-taints/#servicekubernetesioservice-proxy-name
const labelProxyName = "service.kubernetes.io/service-proxy-name"

// Build returns what the node has to do for a Service, or nil if it is none of
// a proxy's business: headless, of type ExternalName, of another proxy or family.
func Build(svc *corev1.Service, all []*discoveryv1.EndpointSlice, node Node, family corev1.IPFamily) *Service {
	if svc == nil || svc.Spec.Type == corev1.ServiceTypeExternalName || svc.Labels[labelProxyName] != "" {
		return nil
	}
	clusterIP := addressOf(svc, family)
	if !clusterIP.IsValid() {
		return nil
	}
	out := &Service{Name: types.NamespacedName{Namespace: svc.Namespace, Name: svc.Name}}
	if svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
		out.HealthCheckNodePort = svc.Spec.HealthCheckNodePort
	}
	localReady := map[netip.Addr]bool{}
	for i := range svc.Spec.Ports {
		port := newPort(svc, &svc.Spec.Ports[i], clusterIP, family)
		endpoints := endpointsOf(all, &svc.Spec.Ports[i], node, family)
		port.choose(endpoints, node)
		for _, e := range endpoints {
			if e.local && e.ready {
				localReady[e.addr.Addr()] = true
			}
		}
		out.Ports = append(out.Ports, port)
	}
	out.LocalReady = len(localReady)
	return out
}

func addressOf(svc *corev1.Service, family corev1.IPFamily) netip.Addr {
	all := svc.Spec.ClusterIPs
	if len(all) == 0 {
		all = []string{svc.Spec.ClusterIP}
	}
	if ips := parse(all, family); len(ips) > 0 {
		return ips[0]
	}
	return netip.Addr{}
}

// parse keeps the valid addresses of the family.
func parse(addresses []string, family corev1.IPFamily) []netip.Addr {
	var out []netip.Addr
	for _, s := range addresses {
		if a, err := netip.ParseAddr(s); err == nil && ofFamily(a, family) {
			out = append(out, a)
		}
	}
	return out
}

func ofFamily(a netip.Addr, family corev1.IPFamily) bool {
	return a.Is4() == (family == corev1.IPv4Protocol)
}

func newPort(svc *corev1.Service, p *corev1.ServicePort, clusterIP netip.Addr, family corev1.IPFamily) Port {
	port := Port{
		Name: p.Name, Protocol: p.Protocol, Port: uint16(p.Port), NodePort: uint16(p.NodePort),
		ClusterIP:   clusterIP,
		ExternalIPs: parse(svc.Spec.ExternalIPs, family),
	}
	if port.Protocol == "" {
		port.Protocol = corev1.ProtocolTCP
	}
	if svc.Spec.SessionAffinity == corev1.ServiceAffinityClientIP {
		port.AffinitySeconds = corev1.DefaultClientIPServiceAffinitySeconds
		if c := svc.Spec.SessionAffinityConfig; c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
			port.AffinitySeconds = *c.ClientIP.TimeoutSeconds
		}
	}
	policy := svc.Spec.InternalTrafficPolicy
	port.InternalLocal = policy != nil && *policy == corev1.ServiceInternalTrafficPolicyLocal
	port.ExternalLocal = svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
	if svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return port
	}
	for _, ingress := range svc.Status.LoadBalancer.Ingress {
		if ingress.IPMode == nil || *ingress.IPMode == corev1.LoadBalancerIPModeVIP {
			port.LoadBalancerIPs = append(port.LoadBalancerIPs, parse([]string{ingress.IP}, family)...)
		}
	}
	for _, r := range svc.Spec.LoadBalancerSourceRanges {
		if prefix, err := netip.ParsePrefix(r); err == nil && ofFamily(prefix.Addr(), family) {
			port.SourceRanges = append(port.SourceRanges, prefix.Masked())
		}
	}
	return port
}

// endpointsOf gathers the endpoints of a port from all slices. One that is in
// two slices (it moves from one to the other) counts once, at its best.
func endpointsOf(all []*discoveryv1.EndpointSlice, port *corev1.ServicePort, node Node, family corev1.IPFamily) []endpoint {
	byAddr := map[netip.AddrPort]endpoint{}
	for _, slice := range all {
		if string(slice.AddressType) != string(family) {
			continue
		}
		number, ok := portIn(slice, port)
		if !ok {
			continue
		}
		for i := range slice.Endpoints {
			e, ok := newEndpoint(&slice.Endpoints[i], number, node)
			if old, twice := byAddr[e.addr]; ok && (!twice || e.better(old)) {
				byAddr[e.addr] = e
			}
		}
	}
	out := make([]endpoint, 0, len(byAddr))
	for _, e := range byAddr {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b endpoint) int { return a.addr.Compare(b.addr) })
	return out
}

func portIn(slice *discoveryv1.EndpointSlice, port *corev1.ServicePort) (uint16, bool) {
	for _, p := range slice.Ports {
		name, protocol := "", corev1.ProtocolTCP
		if p.Name != nil {
			name = *p.Name
		}
		if p.Protocol != nil {
			protocol = *p.Protocol
		}
		if want := port.Protocol; p.Port != nil && name == port.Name && (protocol == want || want == "" && protocol == corev1.ProtocolTCP) {
			return uint16(*p.Port), true
		}
	}
	return 0, false
}

func newEndpoint(e *discoveryv1.Endpoint, port uint16, node Node) (endpoint, bool) {
	if len(e.Addresses) == 0 {
		return endpoint{}, false
	}
	addr, err := netip.ParseAddr(e.Addresses[0])
	if err != nil {
		return endpoint{}, false
	}
	// The EndpointSlice API defines the meaning of a condition that is not set.
	is := func(condition *bool, unset bool) bool {
		if condition == nil {
			return unset
		}
		return *condition
	}
	out := endpoint{
		addr:        netip.AddrPortFrom(addr, port),
		ready:       is(e.Conditions.Ready, true),
		serving:     is(e.Conditions.Serving, true),
		terminating: is(e.Conditions.Terminating, false),
		local:       e.NodeName != nil && *e.NodeName == node.Name && node.Name != "",
	}
	if e.Hints != nil {
		out.zoneHints, out.nodeHints = e.Hints.ForZones, e.Hints.ForNodes
	}
	return out, true
}

func (e endpoint) better(other endpoint) bool {
	rank := func(e endpoint) int {
		switch {
		case e.ready:
			return 2
		case e.serving:
			return 1
		}
		return 0
	}
	return rank(e) > rank(other)
}
