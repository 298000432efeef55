package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/coracle-k8s/coracle/apis"
)

func service(name, clusterIPs string, change func(*corev1.Service)) *corev1.Service {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeClusterIP, ClusterIPs: strings.Fields(clusterIPs),
		Ports: []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80}, {Name: "dns", Protocol: corev1.ProtocolUDP, Port: 53}},
	}}
	if len(svc.Spec.ClusterIPs) > 0 {
		svc.Spec.ClusterIP = svc.Spec.ClusterIPs[0]
	}
	if change != nil {
		change(svc)
	}
	return svc
}

func external(target string) func(*corev1.Service) {
	return func(s *corev1.Service) {
		s.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: target}
	}
}

// world has one Service of each sort.
func world(t *testing.T) *Zone {
	t.Helper()
	endpoint := func(address, host string, ready bool) discoveryv1.Endpoint {
		e := discoveryv1.Endpoint{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}
		if host != "" {
			e.Hostname = &host
		}
		return e
	}
	slice := func(name string, family discoveryv1.AddressType, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "db", corev1.IsHeadlessService: ""}},
			AddressType: family, Endpoints: endpoints,
			Ports: []discoveryv1.EndpointPort{{Name: ptr.To("sql"), Protocol: ptr.To(corev1.ProtocolTCP), Port: ptr.To[int32](5432)}},
		}
	}
	reader := fake.NewClientBuilder().WithScheme(apis.NewClientScheme()).WithObjects(
		service("web", "10.96.0.7 fd00::7", nil),
		service("db", "None", nil),
		service("out", "", external("example.org")),
		service("in", "", external("web.shop.svc.cluster.local")),
		service("loop", "", external("loop.shop.svc.cluster.local")),
		slice("db-4", discoveryv1.AddressTypeIPv4, endpoint("10.244.0.5", "db-0", true), endpoint("10.244.0.6", "", true), endpoint("10.244.0.7", "db-2", false)),
		slice("db-6", discoveryv1.AddressTypeIPv6, endpoint("fd00:1::5", "db-0", true)),
	).Build()
	return NewZone("cluster.local", FromCache(reader))
}

// show writes a reply as "RCODE: records | additional records > alias".
func show(r Reply) string {
	list := func(records []dns.RR) string {
		var out []string
		for _, rr := range records {
			out = append(out, strings.Join(strings.Fields(strings.TrimPrefix(rr.String(), rr.Header().String())), " "))
		}
		slices.Sort(out)
		return strings.Join(out, ", ")
	}
	switch {
	case !r.Mine:
		return "elsewhere"
	case !r.Exists:
		return "no such name"
	case len(r.Answer) == 0:
		return "nothing"
	}
	out := list(r.Answer)
	if len(r.Extra) > 0 {
		out += " | " + list(r.Extra)
	}
	if r.Alias != "" {
		out += " > " + r.Alias
	}
	return out
}

func TestReply(t *testing.T) {
	zone := world(t)
	for _, c := range []struct{ kind, name, want string }{
		{"A", "web.shop.svc.cluster.local.", "10.96.0.7"},
		{"A", "WEB.shop.svc.Cluster.Local.", "10.96.0.7"},
		{"AAAA", "web.shop.svc.cluster.local.", "fd00::7"},
		{"MX", "web.shop.svc.cluster.local.", "nothing"},
		{"A", "none.shop.svc.cluster.local.", "no such name"},
		{"A", "x.web.shop.svc.cluster.local.", "no such name"},
		{"SRV", "web.shop.svc.cluster.local.", "0 50 53 web.shop.svc.cluster.local., 0 50 80 web.shop.svc.cluster.local. | 10.96.0.7, fd00::7"},
		{"SRV", "_http._tcp.web.shop.svc.cluster.local.", "0 100 80 web.shop.svc.cluster.local. | 10.96.0.7, fd00::7"},
		{"SRV", "_http._udp.web.shop.svc.cluster.local.", "no such name"},
		{"A", "_http._tcp.web.shop.svc.cluster.local.", "nothing"},
		{"A", "_tcp.web.shop.svc.cluster.local.", "nothing"},
		{"A", "db.shop.svc.cluster.local.", "10.244.0.5, 10.244.0.6"},
		{"AAAA", "db.shop.svc.cluster.local.", "fd00:1::5"},
		{"A", "db-0.db.shop.svc.cluster.local.", "10.244.0.5"},
		{"AAAA", "db-0.db.shop.svc.cluster.local.", "fd00:1::5"},
		{"A", "10-244-0-6.db.shop.svc.cluster.local.", "10.244.0.6"},
		{"A", "db-2.db.shop.svc.cluster.local.", "no such name"},
		{"SRV", "_sql._tcp.db.shop.svc.cluster.local.", "0 50 5432 10-244-0-6.db.shop.svc.cluster.local., 0 50 5432 db-0.db.shop.svc.cluster.local. | 10.244.0.5, 10.244.0.6, fd00:1::5"},
		{"CNAME", "out.shop.svc.cluster.local.", "example.org."},
		{"A", "out.shop.svc.cluster.local.", "example.org. > example.org."},
		{"A", "in.shop.svc.cluster.local.", "10.96.0.7, web.shop.svc.cluster.local."},
		{"A", "10-1-2-3.shop.pod.cluster.local.", "10.1.2.3"},
		{"AAAA", "fd00--3.shop.pod.cluster.local.", "fd00::3"},
		{"A", "nonsense.shop.pod.cluster.local.", "no such name"},
		{"A", "svc.cluster.local.", "nothing"},
		{"A", "shop.svc.cluster.local.", "nothing"},
		{"A", "none.svc.cluster.local.", "no such name"},
		{"A", "other.cluster.local.", "no such name"},
		{"TXT", "dns-version.cluster.local.", `"1.1.0"`},
		{"NS", "cluster.local.", "ns.dns.cluster.local."},
		{"A", "kubernetes.io.", "elsewhere"},
		{"A", "notcluster.local.", "elsewhere"},
		{"PTR", "7.0.96.10.in-addr.arpa.", "web.shop.svc.cluster.local."},
		{"PTR", "5.0.244.10.in-addr.arpa.", "db-0.db.shop.svc.cluster.local."},
		{"PTR", "6.0.244.10.in-addr.arpa.", "10-244-0-6.db.shop.svc.cluster.local."},
		{"PTR", "1.1.1.1.in-addr.arpa.", "elsewhere"},
		{"PTR", "7." + strings.Repeat("0.", 27) + "0.0.d.f.ip6.arpa.", "web.shop.svc.cluster.local."},
	} {
		t.Run(c.kind+" "+c.name, func(t *testing.T) {
			reply, err := zone.Reply(dns.Question{Name: c.name, Qtype: dns.StringToType[c.kind], Qclass: dns.ClassINET})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, show(reply)); diff != "" {
				t.Error(diff)
			}
			for _, rr := range reply.Answer[:min(1, len(reply.Answer))] {
				if rr.Header().Name != c.name || rr.Header().Ttl != TTL {
					t.Errorf("answers %v to a question for %s", rr.Header(), c.name)
				}
			}
		})
	}
}

func TestAliasesThatLeadToEachOtherEnd(t *testing.T) {
	reply, err := world(t).Reply(dns.Question{Name: "loop.shop.svc.cluster.local.", Qtype: dns.TypeA})
	if err != nil || len(reply.Answer) != maxAliases {
		t.Errorf("%d answers, %v", len(reply.Answer), err)
	}
}

func FuzzReply(f *testing.F) {
	f.Add("db-0.db.shop.svc.cluster.local.", uint16(1))
	f.Add("7.0.96.10.in-addr.arpa.", uint16(12))
	f.Add("_.._.db.shop.svc.cluster.local.", uint16(33))
	f.Add("..", uint16(255))
	zone := NewZone("cluster.local", FromCache(fake.NewClientBuilder().WithScheme(apis.NewClientScheme()).Build()))
	f.Fuzz(func(t *testing.T, name string, kind uint16) {
		if _, ok := dns.IsDomainName(name); !ok {
			return
		}
		if _, err := zone.Reply(dns.Question{Name: name, Qtype: kind}); err != nil {
			t.Fatal(fmt.Errorf("asking for %q: %w", name, err))
		}
	})
}

func TestReverse(t *testing.T) {
	for _, text := range []string{"10.96.0.1", "fd00:1:2::abcd", "::1"} {
		want := netip.MustParseAddr(text)
		name, err := dns.ReverseAddr(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := reverse(name); !ok || got != want {
			t.Errorf("%s reads %v, %v", name, got, ok)
		}
	}
	for _, name := range []string{"in-addr.arpa.", "1.2.3.in-addr.arpa.", "300.2.3.4.in-addr.arpa.", "x.ip6.arpa.", "example.org."} {
		if got, ok := reverse(name); ok {
			t.Errorf("%s reads %v", name, got)
		}
	}
}
