package joins

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// known returns a cluster with the server s0 at 10.0.0.1 and another one, s1,
// at 10.0.0.2, a load balancer at 10.0.0.9, and a node.
func known() Known {
	return Known{
		Now: now, Nodes: map[string][]netip.Addr{"old": {addr("10.0.0.20")}}, Registered: map[string]bool{"old": true},
		Own: []string{"here", "here-1"}, SimulatedPrefix: "simulated-", ClusterDomain: "cluster.local",
		Ranges: []Range{{"pods", netip.MustParsePrefix("10.244.0.0/16")}, {"Services", netip.MustParsePrefix("10.96.0.0/16")}, {"Services", netip.MustParsePrefix("fd00:96::/108")}},
		Names:  []string{"localhost", "kubernetes", "api.example.com", "s0"}, Host: "s0",
		Machine: []netip.Addr{addr("127.0.0.1"), addr("10.0.0.1"), addr("192.168.7.1"), addr("fd00::1")}, Addresses: []netip.Addr{addr("10.0.0.8")},
		Peers:   []Server{{"s1", addr("10.0.0.2")}, {"nowhere", netip.Addr{}}},
		Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.9/32")},
		Ledger: Ledger{Reserved: map[string]Reservation{
			"new":    {Keys: []string{"k1", "k0"}, PodCIDR: "10.244.7.0/24", Until: now.Add(time.Minute)},
			"lapsed": {Keys: []string{"k9"}, PodCIDR: "10.244.8.0/24", Until: now},
		}},
	}
}

func byToken(node, address, peer string) Request {
	return Request{Token: "abcdef", Node: node, Address: address, Peer: addr(peer), Key: "k2"}
}

func byCertificate(of, node, address, peer string) Request {
	return Request{Certificate: of, Shown: "k3", Node: node, Address: address, Peer: addr(peer), Key: "k2"}
}

func plain(node string) Request { return byToken(node, "10.0.0.21", "10.0.0.21") }
func at(address string) Request { return byToken("n", address, address) }
func proxied(a string) Request  { return byToken("n", a, "10.0.0.9") }
func keyed(key string) Request  { r := plain("new"); r.Key = key; return r }
func showing(shown string) Request {
	r := byCertificate("new", "new", "10.0.0.21", "10.0.0.21")
	r.Shown = shown
	return r
}

// Every refusal, and what is next to it and granted.
func TestPlan(t *testing.T) {
	for name, c := range map[string]struct {
		request Request
		code    int // 0: granted
		reason  string
	}{
		"a new name":                       {plain("n"), 0, ""},
		"no name":                          {plain(""), 400, "RFC 1123"},
		"not a name":                       {plain("A B"), 400, "RFC 1123"},
		"a name with an address":           {plain("10.0.0.1"), 400, "an IP address for a name"},
		"an address of IPv6 for a name":    {plain("fd00::1"), 400, "RFC 1123"},
		"a simulated node's":               {plain("simulated-7"), 400, "name of a simulated node"},
		"one of the process":               {plain("here-1"), 400, "runs in the server's own process"},
		"localhost":                        {plain("localhost"), 400, "name of every machine"},
		"below localhost":                  {plain("a.localhost"), 400, "name of every machine"},
		"the API server's":                 {plain("kubernetes"), 400, "name of the API server's Service"},
		"the API server's in full":         {plain("kubernetes.default.svc"), 400, "name of the API server's Service"},
		"only similar to it":               {plain("kubernetes-worker"), 0, ""},
		"a Service's":                      {plain("web.default.svc"), 400, "name of Services"},
		"a Service's in full":              {plain("web.default.svc.cluster.local"), 400, "name of Services"},
		"the cluster's domain":             {plain("cluster.local"), 400, "name of Services"},
		"only similar to that":             {plain("mycluster.local"), 0, ""},
		"an extra name of the server":      {plain("api.example.com"), 400, "a name of the server"},
		"that, on its machine":             {byToken("api.example.com", "10.0.0.1", "10.0.0.1"), 400, "a name of the server"},
		"the server's machine's":           {plain("s0"), 400, "a name of the server"},
		"that, on it":                      {byToken("s0", "10.0.0.1", "10.0.0.1"), 0, ""},
		"that, on it by loopback":          {byToken("s0", "10.0.0.1", "127.0.0.1"), 0, ""},
		"that, through the proxy":          {byToken("s0", "10.0.0.21", "10.0.0.9"), 400, "a name of the server"},
		"another server's machine's":       {plain("s1"), 400, "the name of another server's machine"},
		"that, on it too":                  {byToken("s1", "10.0.0.2", "10.0.0.2"), 0, ""},
		"that, through the proxy too":      {byToken("s1", "10.0.0.21", "10.0.0.9"), 400, "the name of another server's machine"},
		"one's that is nowhere":            {plain("nowhere"), 400, "the name of another server's machine"},
		"no address":                       {byToken("n", "nowhere", "10.0.0.21"), 400, "is not an IP address"},
		"an address with a zone":           {byToken("n", "fe80::1%eth0", "fe80::1"), 400, "not in its plain form"},
		"a mapped address":                 {byToken("n", "::ffff:10.0.0.21", "10.0.0.21"), 400, "not in its plain form"},
		"unspecified":                      {at("0.0.0.0"), 400, "of no machine"},
		"unspecified in IPv6":              {at("::"), 400, "of no machine"},
		"loopback":                         {at("127.0.0.1"), 400, "of every machine"},
		"other loopback":                   {at("127.1.2.3"), 400, "of every machine"},
		"loopback in IPv6":                 {at("::1"), 400, "of every machine"},
		"multicast":                        {at("224.0.0.1"), 400, "of several machines"},
		"multicast in IPv6":                {at("ff02::1"), 400, "of several machines"},
		"broadcast":                        {at("255.255.255.255"), 400, "of several machines"},
		"link-local":                       {at("169.254.169.254"), 400, "in one network only"},
		"link-local in IPv6":               {at("fe80::1"), 400, "in one network only"},
		"the Service's address":            {at("10.96.0.1"), 400, "range 10.96.0.0/16 of Services"},
		"a further Service's":              {at("fd00:96::1"), 400, "of Services"},
		"a pod's":                          {at("10.244.3.4"), 400, "range 10.244.0.0/16 of pods"},
		"a pod's through the proxy":        {proxied("10.244.3.4"), 400, "range 10.244.0.0/16 of pods"},
		"IPv6":                             {at("fd00::21"), 0, ""},
		"not the peer's":                   {byToken("n", "10.0.0.22", "10.0.0.21"), 400, "comes from, which is 10.0.0.21"},
		"the server's from elsewhere":      {byToken("n", "10.0.0.1", "10.0.0.21"), 400, "comes from, which is 10.0.0.21"},
		"not the peer's, by loopback":      {byToken("n", "10.0.0.22", "127.0.0.1"), 400, "comes from, which is 127.0.0.1"},
		"the machine's, by loopback":       {byToken("n", "10.0.0.1", "::1"), 0, ""},
		"the machine's other one":          {byToken("n", "192.168.7.1", "10.0.0.1"), 0, ""},
		"through the proxy":                {proxied("10.0.0.22"), 0, ""},
		"the proxy's own":                  {proxied("10.0.0.9"), 0, ""},
		"the server's through the proxy":   {proxied("10.0.0.1"), 400, "is a server's"},
		"where it is reached, through it":  {proxied("10.0.0.8"), 400, "is a server's"},
		"another server's through it":      {proxied("10.0.0.2"), 400, "is a server's"},
		"a node's through the proxy":       {proxied("10.0.0.20"), 400, "is that of node old"},
		"its own through the proxy":        {byCertificate("old", "old", "10.0.0.20", "10.0.0.9"), 0, ""},
		"two nodes on a machine":           {at("10.0.0.20"), 0, ""},
		"nobody":                           {Request{Node: "n", Address: "10.0.0.21", Peer: addr("10.0.0.21"), Key: "k"}, 403, "only the holder of a join token"},
		"a name that lives":                {plain("old"), 409, `node "old" exists`},
		"a name that lives, its address":   {byToken("old", "10.0.0.20", "10.0.0.20"), 409, `node "old" exists`},
		"its own name":                     {byCertificate("old", "old", "10.0.0.20", "10.0.0.20"), 0, ""},
		"its own name at a new address":    {byCertificate("old", "old", "10.0.0.23", "10.0.0.23"), 0, ""},
		"its own name at no address of it": {byCertificate("old", "old", "10.0.0.23", "10.0.0.20"), 400, "comes from"},
		"another's with a certificate":     {byCertificate("n", "old", "10.0.0.21", "10.0.0.21"), 403, "that of node n, not of old"},
		"a new one with a certificate":     {byCertificate("old", "n", "10.0.0.20", "10.0.0.20"), 403, "that of node old, not of n"},
		"a deleted node's":                 {byCertificate("gone", "gone", "10.0.0.21", "10.0.0.21"), 0, ""},
		"a reserved name":                  {plain("new"), 409, "another agent's"},
		"a reserved name again":            {keyed("k1"), 0, ""},
		"it, with the certificate":         {showing("k1"), 0, ""},
		"it, with the one before":          {showing("k0"), 0, ""},
		"it, with an older one":            {showing("k8"), 409, "another agent's"},
		"a reservation that lapsed":        {plain("lapsed"), 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			k := known()
			before, err := k.Ledger.Encode()
			g.Expect(err).NotTo(HaveOccurred())
			ledger, no := Plan(c.request, k)
			after, err := k.Ledger.Encode()
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(after).To(Equal(before), "what is known does not change")
			if c.code != 0 {
				g.Expect(no).NotTo(BeNil())
				g.Expect(no.Code).To(Equal(c.code))
				g.Expect(no.Reason).To(ContainSubstring(c.reason))
				g.Expect(ledger.Buckets).To(BeEmpty())
				return
			}
			g.Expect(no).To(BeNil())
			if _, exists := k.Nodes[c.request.Node]; exists {
				g.Expect(ledger.Reserved).NotTo(HaveKey(c.request.Node))
				return
			}
			g.Expect(ledger.Reserved[c.request.Node].Keys).To(ContainElement(c.request.Key))
			g.Expect(ledger.Reserved[c.request.Node].Until).To(Equal(now.Add(Bound)))
		})
	}
}

// Of a reservation that lapsed nothing is left, of one that is asked for again the
// range.
func TestReservedRange(t *testing.T) {
	g := NewWithT(t)
	again, no := Plan(keyed("k1"), known())
	g.Expect(no).To(BeNil())
	g.Expect(again.Ranges()).To(Equal(map[string][]netip.Prefix{"new": {netip.MustParsePrefix("10.244.7.0/24")}}))
	lapsed, no := Plan(plain("lapsed"), known())
	g.Expect(no).To(BeNil())
	g.Expect(lapsed.Reserved["lapsed"].PodCIDR).To(BeEmpty())

	k := known()
	k.Nodes["new"], k.Registered["new"] = nil, true
	registered, no := Plan(plain("n"), k)
	g.Expect(no).To(BeNil())
	g.Expect(registered.Reserved).To(HaveLen(1), "a node that registered has its range itself")
}

// A token is good for so many joins at once and so many per time, all tokens
// together for more, and what is refused does not count.
func TestJoinsPerTime(t *testing.T) {
	g := NewWithT(t)
	k := known()
	try := func(r Request) *Refusal {
		ledger, no := Plan(r, k)
		if no == nil {
			k.Ledger = ledger
		}
		return no
	}
	name := 0
	join := func(token string) *Refusal {
		name++
		r := plain(fmt.Sprint("n", name))
		r.Token = token
		return try(r)
	}
	for range 100 {
		g.Expect(try(plain("localhost"))).NotTo(BeNil())
	}
	for range Burst {
		g.Expect(join("first")).To(BeNil())
	}
	no := join("first")
	g.Expect(no).NotTo(BeNil())
	g.Expect(no.Code).To(Equal(http.StatusTooManyRequests))
	g.Expect(no.After).To(Equal(Refill))
	for range AllBurst - Burst {
		g.Expect(join("second")).To(BeNil())
	}
	no = join("third")
	g.Expect(no).NotTo(BeNil())
	g.Expect(no.After).To(Equal(AllRefill))
	g.Expect(try(byCertificate("old", "old", "10.0.0.20", "10.0.0.20"))).To(BeNil(), "renewals do not wait for joins")
	k.Now = now.Add(no.After)
	g.Expect(join("third")).To(BeNil())
	g.Expect(join("third")).NotTo(BeNil())
	k.Now = now
	g.Expect(join("third")).NotTo(BeNil(), "a clock that is behind fills nothing")

	// In the long run.
	granted := 0
	for at := time.Duration(0); at < time.Hour; at += time.Second {
		k.Now = now.Add(time.Minute + at)
		if join("first") == nil {
			granted++
		}
		g.Expect(len(k.Ledger.Reserved)).To(BeNumerically("<=", Burst+int(Bound/Refill)+Burst+AllBurst))
	}
	g.Expect(granted).To(BeNumerically("~", int(time.Hour/Refill), Burst))
	k.Now = k.Now.Add(time.Hour)
	g.Expect(join("first")).To(BeNil())
	g.Expect(k.Ledger.Reserved).To(HaveLen(1), "all others lapsed")
	g.Expect(k.Ledger.Buckets).To(HaveLen(2), "empty buckets are left out")
}

// Whatever agents ask for, in whatever order, no name is granted to two keys at a
// time, and none that exists to a token.
func TestOneHolderOfAName(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		k := known()
		k.Ledger = Ledger{}
		holder, until := map[string]string{}, map[string]time.Time{}
		for range 200 {
			k.Now = k.Now.Add(time.Duration(rng.IntN(90)) * time.Second)
			r := plain(fmt.Sprint("n", rng.IntN(3)))
			r.Key, r.Token = fmt.Sprint("k", rng.IntN(4)), fmt.Sprint(rng.IntN(9))
			_, exists := k.Nodes[r.Node]
			ledger, no := Plan(r, k)
			switch free := !k.Now.Before(until[r.Node]) || holder[r.Node] == r.Key; {
			case no != nil && no.Code == http.StatusTooManyRequests:
			case (no == nil) != (free && !exists):
				t.Fatalf("seed %d: %v for %s of %v until %v, exists %t, at %v: %v", seed, r.Key, r.Node, holder, until, exists, k.Now, no)
			case no == nil:
				k.Ledger, holder[r.Node], until[r.Node] = ledger, r.Key, k.Now.Add(Bound)
			}
			switch rng.IntN(8) {
			case 0:
				k.Nodes[r.Node] = nil
			case 1:
				delete(k.Nodes, r.Node)
			}
		}
	}
}

func TestLedgerIsKept(t *testing.T) {
	g := NewWithT(t)
	want := known().Ledger
	want.Buckets = map[string]Bucket{"token/abcdef": {Level: 2.5, At: now}}
	text, err := want.Encode()
	g.Expect(err).NotTo(HaveOccurred())
	got, err := Decode(text)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(got).To(Equal(want))
	_, err = Decode("{")
	g.Expect(err).To(HaveOccurred())
	empty, err := Decode("")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(empty.Reserved).To(BeEmpty())
}
