//go:build linux

package nft

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/knftables"

	"github.com/coracle-k8s/coracle/proxy/model"
)

func testConfig() Config {
	return Config{
		Family:       corev1.IPv4Protocol,
		ClusterCIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")},
		NodePortIPs:  []netip.Addr{netip.MustParseAddr("192.0.2.1")},
	}
}

func addrs(s string) []netip.AddrPort {
	var out []netip.AddrPort
	for f := range strings.FieldsSeq(s) {
		out = append(out, netip.MustParseAddrPort("10.0."+f+":8080"))
	}
	return out
}

func named(n string) types.NamespacedName { return types.NamespacedName{Namespace: "ns", Name: n} }

func webPort(cluster, local string) model.Port {
	return model.Port{Name: "p", Protocol: corev1.ProtocolTCP, Port: 80, ClusterIP: netip.MustParseAddr("10.96.0.10"),
		Cluster: addrs(cluster), Local: addrs(local)}
}

func apply(t *testing.T, table *Table, changes map[types.NamespacedName]*model.Service) Result {
	t.Helper()
	r, err := table.Apply(context.Background(), changes)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func web(ports ...model.Port) map[types.NamespacedName]*model.Service {
	return map[types.NamespacedName]*model.Service{named("web"): {Name: named("web"), Ports: ports}}
}

func TestWherePacketsLand(t *testing.T) {
	full := func(cluster, local string, change func(*model.Port)) model.Port {
		p := webPort(cluster, local)
		p.NodePort = 30080
		p.ExternalIPs = []netip.Addr{netip.MustParseAddr("203.0.113.5")}
		p.LoadBalancerIPs = []netip.Addr{netip.MustParseAddr("203.0.113.9")}
		if change != nil {
			change(&p)
		}
		return p
	}
	const pod, outside, node = "10.0.1.7", "198.51.100.1", "192.0.2.1"
	type sent struct{ from, to, want string }
	for name, tc := range map[string]struct {
		port    model.Port
		packets []sent
	}{
		"cluster IP": {webPort("1.1 2.2", "1.1"), []sent{
			{pod, "10.96.0.10:80", "10.0.1.1:8080 | 10.0.2.2:8080"},
			{node, "10.96.0.10:80", "10.0.1.1:8080 masqueraded | 10.0.2.2:8080 masqueraded"},
			{outside, "10.96.0.10:80", "10.0.1.1:8080 masqueraded | 10.0.2.2:8080 masqueraded"},
			{pod, "10.96.0.10:81", "REJECT"},
			{pod, "10.96.0.10:80/udp", "REJECT"},
			{pod, "10.96.0.11:80", "10.96.0.11:80"},
			{outside, node + ":30080", "192.0.2.1:30080"},
		}},
		"hairpin": {webPort("1.7", ""), []sent{{pod, "10.96.0.10:80", "10.0.1.7:8080 masqueraded"}}},
		"no endpoints": {full("", "", nil), []sent{
			{pod, "10.96.0.10:80", "REJECT"}, {node, "10.96.0.10:80", "REJECT"}, {outside, node + ":30080", "REJECT"},
			{node, node + ":30080", "REJECT"}, {outside, "203.0.113.9:80", "REJECT"},
		}},
		"node port and external IPs": {full("1.1", "", nil), []sent{
			{outside, node + ":30080", "10.0.1.1:8080 masqueraded"}, {node, node + ":30080", "10.0.1.1:8080 masqueraded"},
			{pod, node + ":30080", "10.0.1.1:8080 masqueraded"}, {outside, "203.0.113.5:80", "10.0.1.1:8080 masqueraded"},
			{outside, "203.0.113.9:80", "10.0.1.1:8080 masqueraded"}, {node, "127.0.0.1:30080", "127.0.0.1:30080"},
		}},
		"external policy Local": {full("1.1 2.2", "1.1", func(p *model.Port) { p.ExternalLocal = true }), []sent{
			{outside, node + ":30080", "10.0.1.1:8080"}, {outside, "203.0.113.9:80", "10.0.1.1:8080"},
			{pod, "203.0.113.9:80", "10.0.1.1:8080 | 10.0.2.2:8080"},
			{node, "203.0.113.9:80", "10.0.1.1:8080 masqueraded | 10.0.2.2:8080 masqueraded"},
			{pod, "10.96.0.10:80", "10.0.1.1:8080 | 10.0.2.2:8080"},
		}},
		"external policy Local, none here": {full("2.2", "", func(p *model.Port) { p.ExternalLocal = true }), []sent{
			{outside, node + ":30080", "DROP"}, {outside, "203.0.113.9:80", "DROP"}, {pod, "203.0.113.9:80", "10.0.2.2:8080"},
			{node, node + ":30080", "10.0.2.2:8080 masqueraded"}, {pod, "10.96.0.10:80", "10.0.2.2:8080"},
		}},
		"internal policy Local": {full("1.1 2.2", "1.1", func(p *model.Port) { p.InternalLocal = true }), []sent{
			{pod, "10.96.0.10:80", "10.0.1.1:8080"}, {outside, node + ":30080", "10.0.1.1:8080 masqueraded | 10.0.2.2:8080 masqueraded"},
		}},
		"internal policy Local, none here": {func() model.Port { p := webPort("2.2", ""); p.InternalLocal = true; return p }(), []sent{
			{pod, "10.96.0.10:80", "DROP"},
		}},
		"source ranges": {full("1.1", "", func(p *model.Port) {
			p.SourceRanges = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("10.0.0.0/16")}
		}), []sent{
			{outside, "203.0.113.9:80", "10.0.1.1:8080 masqueraded"}, {"198.51.99.1", "203.0.113.9:80", "DROP"},
			{pod, "203.0.113.9:80", "10.0.1.1:8080 masqueraded"}, {node, "203.0.113.9:80", "DROP"},
			{"198.51.99.1", "203.0.113.5:80", "10.0.1.1:8080 masqueraded"},
		}},
		"udp": {func() model.Port { p := webPort("1.1", ""); p.Protocol = corev1.ProtocolUDP; return p }(), []sent{
			{pod, "10.96.0.10:80/udp", "10.0.1.1:8080"}, {pod, "10.96.0.10:80", "REJECT"},
		}},
		"sctp": {func() model.Port { p := webPort("1.1", ""); p.Protocol = corev1.ProtocolSCTP; return p }(), []sent{
			{pod, "10.96.0.10:80/sctp", "10.0.1.1:8080"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			fake := knftables.NewFake(knftables.IPv4Family, "coracle-test")
			table := NewTable(fake, testConfig())
			apply(t, table, web(tc.port))
			for _, p := range tc.packets {
				if got := send(t, fake, p.from, p.to); got != p.want {
					t.Errorf("from %s to %s: %s, want %s", p.from, p.to, got, p.want)
				}
			}
		})
	}
}

func TestAffinityFollowsTheClient(t *testing.T) {
	fake := knftables.NewFake(knftables.IPv4Family, "coracle-test")
	table := NewTable(fake, testConfig())
	p := webPort("1.1 2.2 3.3", "")
	p.AffinitySeconds = 60
	apply(t, table, web(p))
	for name := range fake.Table.Sets {
		if strings.HasPrefix(name, "affinity-") && strings.Contains(name, "10.0.2.2") {
			tx := fake.NewTransaction()
			tx.Add(&knftables.Element{Set: name, Key: []string{"10.0.9.9"}})
			if err := fake.Run(context.Background(), tx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := send(t, fake, "10.0.9.9", "10.96.0.10:80"); got != "10.0.2.2:8080" {
		t.Errorf("got %s", got)
	}
	// Another endpoint's end does not move the client; its own does.
	p.Cluster = addrs("1.1 2.2")
	apply(t, table, web(p))
	if got := send(t, fake, "10.0.9.9", "10.96.0.10:80"); got != "10.0.2.2:8080" {
		t.Errorf("got %s", got)
	}
	p.Cluster = addrs("1.1")
	apply(t, table, web(p))
	if got := send(t, fake, "10.0.9.9", "10.96.0.10:80"); got != "10.0.1.1:8080" {
		t.Errorf("got %s", got)
	}
}

func TestOneChangeIsASmallTransaction(t *testing.T) {
	fake := knftables.NewFake(knftables.IPv4Family, "coracle-test")
	table := NewTable(fake, testConfig())
	all := map[types.NamespacedName]*model.Service{}
	for i := range 200 {
		p := webPort(fmt.Sprintf("1.%d 2.%d", i, i), "")
		p.ClusterIP = netip.AddrFrom4([4]byte{10, 96, 1, byte(i)})
		name := named(fmt.Sprint("svc", i))
		all[name] = &model.Service{Name: name, Ports: []model.Port{p}}
	}
	if r := apply(t, table, all); !r.Full {
		t.Error("the first is not full")
	}
	if r := apply(t, table, all); r.Full || r.Operations != 0 {
		t.Errorf("no change wrote %+v", r)
	}
	p := webPort("1.7", "")
	p.ClusterIP = netip.MustParseAddr("10.96.1.7")
	r := apply(t, table, map[types.NamespacedName]*model.Service{named("svc7"): {Name: named("svc7"), Ports: []model.Port{p}}})
	// Flush and rule of the service chain, flush and delete of the endpoint's.
	if r.Full || r.Operations > 6 {
		t.Errorf("one endpoint less wrote %+v", r)
	}
	r = apply(t, table, map[types.NamespacedName]*model.Service{named("svc7"): nil})
	if r.Full || r.Operations > 10 {
		t.Errorf("one service less wrote %+v", r)
	}
}

func TestSharedElementGoesToTheFirstByName(t *testing.T) {
	fake := knftables.NewFake(knftables.IPv4Family, "coracle-test")
	table := NewTable(fake, testConfig())
	service := func(name, ip, to string) *model.Service {
		p := webPort(to, "")
		p.ClusterIP = netip.MustParseAddr(ip)
		p.ExternalIPs = []netip.Addr{netip.MustParseAddr("203.0.113.5")}
		return &model.Service{Name: named(name), Ports: []model.Port{p}}
	}
	lands := func(want string) {
		t.Helper()
		if got := send(t, fake, "198.51.100.1", "203.0.113.5:80"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	apply(t, table, map[types.NamespacedName]*model.Service{named("b"): service("b", "10.96.0.2", "1.2")})
	lands("10.0.1.2:8080 masqueraded")
	apply(t, table, map[types.NamespacedName]*model.Service{named("a"): service("a", "10.96.0.1", "1.1")})
	lands("10.0.1.1:8080 masqueraded")
	apply(t, table, map[types.NamespacedName]*model.Service{named("a"): nil})
	lands("10.0.1.2:8080 masqueraded")
}

// failing fails every other transaction.
type failing struct {
	*knftables.Fake
	fail bool
}

func (f *failing) Run(ctx context.Context, tx *knftables.Transaction) error {
	if f.fail {
		return fmt.Errorf("no")
	}
	return f.Fake.Run(ctx, tx)
}

// TestIncrementalEqualsFull is the oracle: after any history, with failures in
// it, the table equals a fresh one.
func TestIncrementalEqualsFull(t *testing.T) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		nft := &failing{Fake: knftables.NewFake(knftables.IPv4Family, "coracle-test")}
		table := NewTable(nft, testConfig())
		state := map[types.NamespacedName]*model.Service{}
		for range 30 {
			changes := map[types.NamespacedName]*model.Service{}
			for range 1 + rnd.IntN(3) {
				name := named(fmt.Sprint("s", rnd.IntN(4)))
				changes[name] = randomService(rnd, name)
				state[name] = changes[name]
			}
			nft.fail = rnd.IntN(5) == 0
			if _, err := table.Apply(context.Background(), changes); (err != nil) != nft.fail && err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		nft.fail = false
		apply(t, table, nil)
		oracle := knftables.NewFake(knftables.IPv4Family, "coracle-test")
		apply(t, NewTable(oracle, testConfig()), state)
		if got, want := sortedDump(nft.Fake), sortedDump(oracle); got != want {
			t.Fatalf("seed %d: the table is\n%s\nwant\n%s", seed, got, want)
		}
	}
}

func sortedDump(f *knftables.Fake) string {
	lines := strings.Split(f.Dump(), "\n")
	var elements, rest []string
	for _, l := range lines {
		if strings.HasPrefix(l, "add element") {
			elements = append(elements, l)
		} else {
			rest = append(rest, l)
		}
	}
	slices.Sort(elements)
	return strings.Join(rest, "\n") + strings.Join(elements, "\n")
}

func randomService(rnd *rand.Rand, name types.NamespacedName) *model.Service {
	if rnd.IntN(4) == 0 {
		return nil
	}
	svc := &model.Service{Name: name}
	for i := range 1 + rnd.IntN(2) {
		var cluster, local []string
		for e := range rnd.IntN(4) {
			cluster = append(cluster, fmt.Sprintf("1.%d", e+1))
			if rnd.IntN(2) == 0 {
				local = append(local, fmt.Sprintf("1.%d", e+1))
			}
		}
		p := webPort(strings.Join(cluster, " "), strings.Join(local, " "))
		p.Name, p.Port = fmt.Sprint("p", i), uint16(80+i)
		p.ClusterIP = netip.AddrFrom4([4]byte{10, 96, 0, name.Name[1]})
		if rnd.IntN(2) == 0 {
			p.NodePort = uint16(30000 + rnd.IntN(3))
		}
		if rnd.IntN(2) == 0 {
			p.AffinitySeconds = int32(1 + rnd.IntN(2))
		}
		if rnd.IntN(3) == 0 {
			p.LoadBalancerIPs = []netip.Addr{netip.MustParseAddr("203.0.113.9")}
			p.SourceRanges = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
		}
		p.InternalLocal, p.ExternalLocal = rnd.IntN(2) == 0, rnd.IntN(2) == 0
		svc.Ports = append(svc.Ports, p)
	}
	return svc
}
