package endpointslice

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	endpointslicelib "k8s.io/endpointslice"
	endpointsliceutil "k8s.io/endpointslice/util"
	netutils "k8s.io/utils/net"
)

// addressTypes returns the families of a Service's slices, in order. A Service
// that was never defaulted (no ipFamilies) goes by its cluster IP; a headless
// one may then be of both.
func addressTypes(svc *corev1.Service) []discoveryv1.AddressType {
	var out []discoveryv1.AddressType
	for _, family := range svc.Spec.IPFamilies {
		switch family {
		case corev1.IPv4Protocol:
			out = append(out, discoveryv1.AddressTypeIPv4)
		case corev1.IPv6Protocol:
			out = append(out, discoveryv1.AddressTypeIPv6)
		}
	}
	switch {
	case len(out) > 0:
		return out
	case svc.Spec.ClusterIP == "" || svc.Spec.ClusterIP == corev1.ClusterIPNone:
		return []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6}
	case netutils.IsIPv6String(svc.Spec.ClusterIP):
		return []discoveryv1.AddressType{discoveryv1.AddressTypeIPv6}
	default:
		return []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4}
	}
}

// ports returns the Service's ports as this pod resolves them, sorted by name.
// A named target port the pod does not have is left out.
func ports(svc *corev1.Service, pod *corev1.Pod) []discoveryv1.EndpointPort {
	out := make([]discoveryv1.EndpointPort, 0, len(svc.Spec.Ports))
	for i := range svc.Spec.Ports {
		sp := &svc.Spec.Ports[i]
		number, err := endpointslicelib.FindPort(pod, sp)
		if err != nil {
			continue
		}
		port := int32(number)
		out = append(out, discoveryv1.EndpointPort{
			Name: &sp.Name, Port: &port, Protocol: &sp.Protocol, AppProtocol: sp.AppProtocol,
		})
	}
	sortPorts(out)
	return out
}

func sortPorts(p []discoveryv1.EndpointPort) {
	slices.SortFunc(p, func(a, b discoveryv1.EndpointPort) int {
		return cmp.Or(
			cmp.Compare(deref(a.Name), deref(b.Name)),
			cmp.Compare(deref(a.Port), deref(b.Port)),
			cmp.Compare(deref(a.Protocol), deref(b.Protocol)),
		)
	})
}

// portsKey returns equal keys for two sets of ports exactly if they are the
// same set.
func portsKey(p []discoveryv1.EndpointPort) string {
	if !slices.IsSortedFunc(p, func(a, b discoveryv1.EndpointPort) int { return cmp.Compare(deref(a.Name), deref(b.Name)) }) {
		p = slices.Clone(p)
	}
	sortPorts(p)
	var b strings.Builder
	for i := range p {
		b.WriteString(deref(p[i].Name))
		b.WriteByte('|')
		b.WriteString(strconv.Itoa(int(deref(p[i].Port))))
		b.WriteByte('|')
		b.WriteString(string(deref(p[i].Protocol)))
		b.WriteByte('|')
		b.WriteString(deref(p[i].AppProtocol))
		b.WriteByte('\n')
	}
	return b.String()
}

// endpoint returns the pod's endpoint in one address family; it has no address
// if the pod has none of that family. zone is that of the pod's node.
func endpoint(svc *corev1.Service, pod *corev1.Pod, zone string, family discoveryv1.AddressType) discoveryv1.Endpoint {
	serving := endpointsliceutil.IsPodReady(pod)
	terminating := pod.DeletionTimestamp != nil
	ready := svc.Spec.PublishNotReadyAddresses || serving && !terminating
	ep := discoveryv1.Endpoint{
		Addresses:  addresses(pod, family),
		Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
		TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
	}
	if pod.Spec.NodeName != "" {
		ep.NodeName = &pod.Spec.NodeName
	}
	if zone != "" {
		ep.Zone = &zone
	}
	if endpointsliceutil.ShouldSetHostname(pod, svc) {
		ep.Hostname = &pod.Spec.Hostname
	}
	return ep
}

func addresses(pod *corev1.Pod, family discoveryv1.AddressType) []string {
	var out []string
	for i := range pod.Status.PodIPs {
		addr, err := netip.ParseAddr(pod.Status.PodIPs[i].IP)
		if err != nil {
			continue
		}
		addr = addr.Unmap()
		if addr.Is4() == (family == discoveryv1.AddressTypeIPv4) {
			out = append(out, addr.String())
		}
	}
	slices.Sort(out)
	return out
}

// key identifies an endpoint across changes of its conditions: same pod, same
// addresses, same host name.
func key(ep *discoveryv1.Endpoint) string {
	n := len(deref(ep.Hostname)) + 2
	for _, a := range ep.Addresses {
		n += len(a) + 1
	}
	if ep.TargetRef != nil {
		n += len(ep.TargetRef.Name) + len(ep.TargetRef.Namespace) + 1
	}
	b := make([]byte, 0, n)
	if ep.TargetRef != nil {
		b = append(append(append(b, ep.TargetRef.Namespace...), '/'), ep.TargetRef.Name...)
	}
	b = append(append(b, '|'), deref(ep.Hostname)...)
	for _, a := range ep.Addresses {
		b = append(append(b, '|'), a...)
	}
	return string(b)
}

// same reports whether two endpoints with one key are equal but for their
// hints, which are decided for all slices together.
func same(a, b *discoveryv1.Endpoint) bool {
	return deref(a.NodeName) == deref(b.NodeName) && deref(a.Zone) == deref(b.Zone) &&
		equal(a.Conditions.Ready, b.Conditions.Ready) &&
		equal(a.Conditions.Serving, b.Conditions.Serving) &&
		equal(a.Conditions.Terminating, b.Conditions.Terminating) &&
		sameTarget(a.TargetRef, b.TargetRef)
}

func sameTarget(a, b *corev1.ObjectReference) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Kind == b.Kind && a.Namespace == b.Namespace && a.Name == b.Name && a.UID == b.UID
}

func equal(a, b *bool) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
