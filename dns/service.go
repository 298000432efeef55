package dns

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
)

// subject is the Service that a question is about. Its methods get the labels
// that are left of the Service's name, from the right.
type subject struct {
	*query
	svc *corev1.Service
	// name is the Service's own, NAME.NAMESPACE.svc.DOMAIN.
	name string
}

func (s *subject) external(labels []string) result {
	if len(labels) > 0 {
		return result{}
	}
	target := dns.CanonicalName(s.svc.Spec.ExternalName)
	return result{exists: true, alias: target, answer: []dns.RR{&dns.CNAME{Hdr: s.header(dns.TypeCNAME), Target: target}}}
}

// port is a Service's or an endpoint's.
type port struct {
	name     string
	protocol corev1.Protocol
	number   int32
}

// matches reads _PROTOCOL and _PORT from the right; fewer labels leave it open.
func (p port) matches(labels []string) bool {
	if len(labels) > 0 && labels[0] != "_"+strings.ToLower(string(p.protocol)) {
		return false
	}
	return len(labels) < 2 || labels[1] == "_"+p.name
}

// isPort reports whether labels are those of a port and not a host's.
func isPort(labels []string) bool {
	return len(labels) <= 2 && !slices.ContainsFunc(labels, func(l string) bool { return !strings.HasPrefix(l, "_") })
}

func (s *subject) clusterIP(labels []string) result {
	if len(labels) == 0 {
		found := result{exists: true}
		for _, ip := range s.svc.Spec.ClusterIPs {
			if a, err := netip.ParseAddr(ip); err == nil {
				found.answer = append(found.answer, s.addresses(s.query.name, a)...)
			}
		}
		if s.kind != dns.TypeSRV {
			return found
		}
	}
	if !isPort(labels) {
		return result{}
	}
	found := result{exists: len(labels) == 0}
	for _, p := range s.svc.Spec.Ports {
		if (port{p.Name, p.Protocol, p.Port}).matches(labels) {
			found.exists = true
			if s.wants(dns.TypeSRV) && len(labels) != 1 {
				found.answer = append(found.answer, s.srv(p.Port, s.name))
			}
		}
	}
	if len(found.answer) > 0 {
		for _, ip := range s.svc.Spec.ClusterIPs {
			if a, err := netip.ParseAddr(ip); err == nil {
				found.extra = append(found.extra, addressRecord(s.name, a))
			}
		}
	}
	return weighted(found)
}

// headless answers with the endpoints that are ready.
func (s *subject) headless(labels []string, list []discoveryv1.EndpointSlice) result {
	switch {
	case len(labels) == 0 && s.kind != dns.TypeSRV:
		found := result{exists: true}
		eachEndpoint(list, func(_ *discoveryv1.EndpointSlice, _ string, a netip.Addr) {
			found.answer = append(found.answer, s.addresses(s.query.name, a)...)
		})
		found.answer = dns.Dedup(found.answer, nil)
		return found
	case isPort(labels):
		return s.ports(labels, list)
	case len(labels) == 1:
		var found result
		eachEndpoint(list, func(_ *discoveryv1.EndpointSlice, host string, a netip.Addr) {
			if host == labels[0] {
				found.exists = true
				found.answer = append(found.answer, s.addresses(s.query.name, a)...)
			}
		})
		found.answer = dns.Dedup(found.answer, nil)
		return found
	}
	return result{}
}

// ports returns the SRV records of a headless Service: one for each endpoint's port.
func (s *subject) ports(labels []string, list []discoveryv1.EndpointSlice) result {
	found := result{exists: len(labels) == 0}
	eachEndpoint(list, func(slice *discoveryv1.EndpointSlice, host string, a netip.Addr) {
		for _, p := range slice.Ports {
			if p.Port == nil || !(port{ptr.Deref(p.Name, ""), ptr.Deref(p.Protocol, corev1.ProtocolTCP), *p.Port}).matches(labels) {
				continue
			}
			found.exists = true
			if s.wants(dns.TypeSRV) && len(labels) != 1 {
				target := host + "." + s.name
				found.answer = append(found.answer, s.srv(*p.Port, target))
				found.extra = append(found.extra, addressRecord(target, a))
			}
		}
	})
	found.answer, found.extra = dns.Dedup(found.answer, nil), dns.Dedup(found.extra, nil)
	return weighted(found)
}

func (s *subject) srv(number int32, target string) dns.RR {
	return &dns.SRV{Hdr: s.header(dns.TypeSRV), Port: uint16(number), Target: target}
}

// weighted shares the weight of a hundred among SRV records.
func weighted(found result) result {
	for _, rr := range found.answer {
		if srv, ok := rr.(*dns.SRV); ok {
			srv.Weight = uint16(max(1, 100/len(found.answer)))
		}
	}
	return found
}

// eachEndpoint calls fn with the name and the address of each ready endpoint.
func eachEndpoint(list []discoveryv1.EndpointSlice, fn func(slice *discoveryv1.EndpointSlice, host string, address netip.Addr)) {
	for i := range list {
		for j := range list[i].Endpoints {
			e := &list[i].Endpoints[j]
			if !ptr.Deref(e.Conditions.Ready, true) {
				continue
			}
			for _, text := range e.Addresses {
				if a, err := netip.ParseAddr(text); err == nil {
					fn(&list[i], hostOf(e, text), a)
				}
			}
		}
	}
}

// hostOf returns an endpoint's label below its Service: its hostname, or its
// address with dashes.
func hostOf(e *discoveryv1.Endpoint, address string) string {
	if name := ptr.Deref(e.Hostname, ""); name != "" {
		return strings.ToLower(name)
	}
	return strings.NewReplacer(".", "-", ":", "-").Replace(address)
}
