package dns

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/go-logr/logr"
	"github.com/miekg/dns"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/coracle-k8s/coracle/apis"
)

// FuzzMessage answers messages as they come from the network: every one that can be
// read has an answer that fits and belongs to it.
func FuzzMessage(f *testing.F) {
	for _, q := range []struct {
		name string
		kind uint16
		size uint16
	}{{"web.shop.svc.cluster.local.", dns.TypeA, 0}, {"cluster.local.", dns.TypeANY, 4096}, {"example.org.", dns.TypeAAAA, 1}, {".", dns.TypeAXFR, 65535}} {
		m := new(dns.Msg).SetQuestion(q.name, q.kind)
		if q.size > 0 {
			m.SetEdns0(q.size, true)
		}
		data, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)-2])
	}
	f.Add([]byte{0, 1, 0x78, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0xc0, 0x0c, 0, 1, 0, 1, 0xc0, 0x0c, 0, 1, 0, 1})
	zone := NewZone("cluster.local", FromCache(fake.NewClientBuilder().WithScheme(apis.NewClientScheme()).Build()))
	s := &Server{forwards: make(chan struct{}, 1), config: Config{Zone: zone, Log: logr.Discard(), Resolvers: func() ([]string, error) { return nil, errors.New("none") }}}
	f.Fuzz(func(t *testing.T, data []byte) {
		asked := new(dns.Msg)
		if asked.Unpack(data) != nil || asked.Response {
			return
		}
		for protocol, most := range map[string]int{"udp": dns.MinMsgSize, "tcp": dns.MaxMsgSize} {
			if edns := asked.IsEdns0(); edns != nil {
				most = max(most, int(edns.UDPSize()))
			}
			reply := s.answer(t.Context(), protocol, asked)
			packed, err := reply.Pack()
			if err != nil {
				t.Fatalf("an answer that cannot be sent: %v\n%v", err, reply)
			}
			if reply.Id != asked.Id || !reply.Response || len(packed) > most && len(reply.Answer) > 0 {
				t.Errorf("%d bytes over %s: %v", len(packed), protocol, reply)
			}
		}
	})
}

// FuzzReverse reads names of addresses.
func FuzzReverse(f *testing.F) {
	for _, name := range []string{"1.0.96.10.in-addr.arpa.", "0001.0.96.10.in-addr.arpa.", "in-addr.arpa.", ".ip6.arpa.", "1.2.3.4.5.in-addr.arpa.", "%.0.96.10.in-addr.arpa."} {
		f.Add(name)
	}
	for _, text := range []string{"fd00:1::2", "::ffff:10.0.0.1"} {
		name, err := dns.ReverseAddr(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		address, ok := reverse(name)
		if !ok {
			return
		}
		again, err := dns.ReverseAddr(address.String())
		if err != nil {
			t.Fatal(err)
		}
		if same, ok := reverse(again); !ok || same.Unmap() != address.Unmap() || address.Zone() != "" {
			t.Errorf("%q reads %v, whose name is %q of %v", name, address, again, same)
		}
		if _, bad := netip.ParseAddr(address.String()); bad != nil {
			t.Error(bad)
		}
	})
}
