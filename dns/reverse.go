package dns

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// reverse reads the address of a name such as 1.0.96.10.in-addr.arpa.
func reverse(name string) (netip.Addr, bool) {
	separator, short := ".", 4
	text, ok := strings.CutSuffix(name, ".in-addr.arpa.")
	if !ok {
		if text, ok = strings.CutSuffix(name, ".ip6.arpa."); !ok {
			return netip.Addr{}, false
		}
		separator, short = "", 32
	}
	labels := strings.Split(text, ".")
	if len(labels) != short {
		return netip.Addr{}, false
	}
	slices.Reverse(labels)
	text = strings.Join(labels, separator)
	if short == 32 {
		var groups []string
		for chunk := range slices.Chunk(labels, 4) {
			groups = append(groups, strings.Join(chunk, ""))
		}
		text = strings.Join(groups, ":")
	}
	address, err := netip.ParseAddr(text)
	return address, err == nil
}

// pointer names the Service or the headless Service's endpoint of an address.
// Other addresses are not the zone's business.
func (z *Zone) pointer(q dns.Question, address netip.Addr) (Reply, error) {
	var targets []string
	svc, err := z.records.ServiceOf(address)
	if err != nil {
		return Reply{}, err
	}
	if svc != nil {
		targets = append(targets, strings.Join([]string{svc.Name, svc.Namespace, "svc", z.domain}, "."))
	} else {
		list, err := z.records.HeadlessSlicesOf(address)
		if err != nil {
			return Reply{}, err
		}
		eachEndpoint(list, func(slice *discoveryv1.EndpointSlice, host string, a netip.Addr) {
			target := strings.Join([]string{host, slice.Labels[discoveryv1.LabelServiceName], slice.Namespace, "svc", z.domain}, ".")
			if a == address && !slices.Contains(targets, target) {
				targets = append(targets, target)
			}
		})
	}
	reply := Reply{Mine: len(targets) > 0, Exists: len(targets) > 0}
	if q.Qtype != dns.TypePTR && q.Qtype != dns.TypeANY {
		return reply, nil
	}
	for _, target := range targets {
		reply.Answer = append(reply.Answer, &dns.PTR{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: TTL}, Ptr: target})
	}
	return reply, nil
}
