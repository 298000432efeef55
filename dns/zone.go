package dns

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// TTL of every record and of every denial, in seconds: CoreDNS' default.
const TTL = 5

// specVersion is the version of the specification, which clients may ask for.
const specVersion = "1.1.0"

// maxAliases bounds a chain of Services of type ExternalName that lead to each other.
const maxAliases = 8

// Records returns the objects behind the names. They are read only.
type Records interface {
	// Service returns nil if there is none.
	Service(namespace, name string) (*corev1.Service, error)
	// Slices are the EndpointSlices of a Service.
	Slices(namespace, service string) ([]discoveryv1.EndpointSlice, error)
	// HasNamespace reports whether a namespace has Services.
	HasNamespace(name string) (bool, error)
	// ServiceOf returns the Service with a ClusterIP, or nil.
	ServiceOf(address netip.Addr) (*corev1.Service, error)
	// HeadlessSlicesOf are EndpointSlices of headless Services with an endpoint
	// of that address.
	HeadlessSlicesOf(address netip.Addr) ([]discoveryv1.EndpointSlice, error)
}

// Zone is the cluster's domain.
type Zone struct {
	domain  string // with a dot at its end
	records Records
}

// NewZone returns the zone of a domain such as cluster.local.
func NewZone(domain string, records Records) *Zone {
	return &Zone{domain: dns.CanonicalName(domain), records: records}
}

// Reply is the zone's answer to one question.
type Reply struct {
	// Mine is false for a name that the zone does not decide about.
	Mine bool
	// Exists is true if the name has records of any type, or names below it.
	Exists        bool
	Answer, Extra []dns.RR
	// Alias is a name elsewhere that the last of Answer, a CNAME, leads to.
	Alias string
}

// Authority returns the SOA record of a reply without an answer: its TTL is how
// long the reply holds.
func (z *Zone) Authority() dns.RR {
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: z.domain, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: TTL},
		Ns:  "ns.dns." + z.domain, Mbox: "hostmaster." + z.domain,
		Serial: 1, Refresh: 7200, Retry: 1800, Expire: 86400, Minttl: TTL,
	}
}

// Reply answers a question.
func (z *Zone) Reply(q dns.Question) (Reply, error) {
	name := dns.CanonicalName(q.Name)
	if address, ok := reverse(name); ok {
		return z.pointer(q, address)
	}
	if !dns.IsSubDomain(z.domain, name) {
		return Reply{}, nil
	}
	reply := Reply{Mine: true}
	asked := query{zone: z, name: q.Name, canonical: name, kind: q.Qtype}
	for range maxAliases {
		found, err := asked.resolve()
		if err != nil {
			return Reply{}, err
		}
		reply.Answer, reply.Extra = append(reply.Answer, found.answer...), append(reply.Extra, found.extra...)
		reply.Exists = reply.Exists || found.exists
		if found.alias == "" || q.Qtype == dns.TypeCNAME {
			return reply, nil
		}
		if !dns.IsSubDomain(z.domain, found.alias) {
			reply.Alias = found.alias
			return reply, nil
		}
		asked.name, asked.canonical = found.alias, found.alias
	}
	return reply, nil
}

// query is a question about one name of the zone.
type query struct {
	zone *Zone
	// name is as it was asked for, which the answer repeats.
	name, canonical string
	kind            uint16
}

type result struct {
	exists        bool
	answer, extra []dns.RR
	alias         string
}

func (q *query) header(kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: q.name, Rrtype: kind, Class: dns.ClassINET, Ttl: TTL}
}

// resolve looks at the labels from the right: NAME.NAMESPACE.svc.DOMAIN.
func (q *query) resolve() (result, error) {
	labels := dns.SplitDomainName(strings.TrimSuffix(q.canonical, q.zone.domain))
	slices.Reverse(labels)
	if len(labels) == 0 {
		return q.apex(), nil
	}
	switch {
	case labels[0] == "svc":
		return q.service(labels[1:])
	case labels[0] == "pod":
		return q.pod(labels[1:])
	case labels[0] == "dns-version" && len(labels) == 1:
		found := result{exists: true}
		if q.wants(dns.TypeTXT) {
			found.answer = []dns.RR{&dns.TXT{Hdr: q.header(dns.TypeTXT), Txt: []string{specVersion}}}
		}
		return found, nil
	case labels[0] == "dns" && (len(labels) == 1 || len(labels) == 2 && labels[1] == "ns"):
		return result{exists: true}, nil
	}
	return result{}, nil
}

func (q *query) wants(kind uint16) bool { return q.kind == kind || q.kind == dns.TypeANY }

func (q *query) apex() result {
	found := result{exists: true}
	if q.wants(dns.TypeSOA) {
		found.answer = append(found.answer, q.zone.Authority())
	}
	if q.wants(dns.TypeNS) {
		found.answer = append(found.answer, &dns.NS{Hdr: q.header(dns.TypeNS), Ns: "ns.dns." + q.zone.domain})
	}
	return found
}

// pod answers for A-B-C-D.NAMESPACE.pod, whose address is in the name.
func (q *query) pod(labels []string) (result, error) {
	switch len(labels) {
	case 0:
		return result{exists: true}, nil
	case 1:
		exists, err := q.zone.records.HasNamespace(labels[0])
		return result{exists: exists}, err
	case 2:
		if address, ok := dashed(labels[1]); ok {
			return result{exists: true, answer: q.addresses(q.name, address)}, nil
		}
	}
	return result{}, nil
}

// dashed reads 10-0-0-1, or an IPv6 address with dashes for colons.
func dashed(label string) (netip.Addr, bool) {
	for _, separator := range []string{".", ":"} {
		if address, err := netip.ParseAddr(strings.ReplaceAll(label, "-", separator)); err == nil {
			return address, true
		}
	}
	return netip.Addr{}, false
}

// service answers for what is below svc.DOMAIN; labels are from the right.
func (q *query) service(labels []string) (result, error) {
	switch len(labels) {
	case 0:
		return result{exists: true}, nil
	case 1:
		exists, err := q.zone.records.HasNamespace(labels[0])
		return result{exists: exists}, err
	}
	svc, err := q.zone.records.Service(labels[0], labels[1])
	if err != nil || svc == nil {
		return result{}, err
	}
	s := subject{query: q, svc: svc, name: strings.Join([]string{svc.Name, svc.Namespace, "svc", q.zone.domain}, ".")}
	if svc.Spec.Type == corev1.ServiceTypeExternalName {
		return s.external(labels[2:]), nil
	}
	if svc.Spec.ClusterIP == corev1.ClusterIPNone {
		list, err := q.zone.records.Slices(svc.Namespace, svc.Name)
		if err != nil {
			return result{}, err
		}
		return s.headless(labels[2:], list), nil
	}
	return s.clusterIP(labels[2:]), nil
}

// addresses returns the records of those addresses that the question asks for.
func (q *query) addresses(name string, list ...netip.Addr) []dns.RR {
	var out []dns.RR
	for _, a := range list {
		if a.Is4() && q.wants(dns.TypeA) || !a.Is4() && q.wants(dns.TypeAAAA) {
			out = append(out, addressRecord(name, a))
		}
	}
	return out
}

func addressRecord(name string, a netip.Addr) dns.RR {
	header := dns.RR_Header{Name: name, Class: dns.ClassINET, Ttl: TTL}
	if a.Is4() {
		header.Rrtype = dns.TypeA
		return &dns.A{Hdr: header, A: a.AsSlice()}
	}
	header.Rrtype = dns.TypeAAAA
	return &dns.AAAA{Hdr: header, AAAA: a.AsSlice()}
}
