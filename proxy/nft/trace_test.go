//go:build linux

package nft

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/knftables"
)

// tracer follows one packet through the fake's rules, as the kernel would.
type tracer struct {
	t     *testing.T
	fake  *knftables.Fake
	local []netip.Addr // the node's own addresses
	pick  int          // what numgen answers

	src, dst netip.Addr
	proto    string
	port     uint16
	mark     bool
	masq     bool
	updated  []string
}

// send returns where packets from src to dst ("10.96.0.1:80/tcp") may end:
// every possible outcome, sorted and without duplicates.
func send(t *testing.T, fake *knftables.Fake, src, dst string) string {
	t.Helper()
	var outcomes []string
	for pick := range 6 {
		tr := &tracer{t: t, fake: fake, local: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("127.0.0.1")}, pick: pick}
		outcomes = append(outcomes, tr.run(src, dst))
	}
	slices.Sort(outcomes)
	return strings.Join(slices.Compact(outcomes), " | ")
}

func (tr *tracer) run(src, dst string) string {
	address, proto, _ := strings.Cut(dst, "/")
	to := netip.MustParseAddrPort(address)
	tr.src, tr.dst, tr.port, tr.proto = netip.MustParseAddr(src), to.Addr(), to.Port(), cmp.Or(proto, "tcp")
	hooks := []knftables.BaseChainHook{knftables.OutputHook}
	if !slices.Contains(tr.local, tr.src) {
		hooks[0] = knftables.PreroutingHook
	}
	if verdict := tr.hook(hooks[0]); verdict != "" {
		return verdict
	}
	if hooks[0] == knftables.PreroutingHook {
		next := knftables.ForwardHook
		if slices.Contains(tr.local, tr.dst) {
			next = knftables.InputHook
		}
		if verdict := tr.hook(next); verdict != "" {
			return verdict
		}
	}
	tr.hook(knftables.PostroutingHook)
	out := netip.AddrPortFrom(tr.dst, tr.port).String()
	if tr.masq {
		out += " masqueraded"
	}
	return out
}

// hook runs the base chains of a hook in order of priority.
func (tr *tracer) hook(hook knftables.BaseChainHook) string {
	var chains []*knftables.FakeChain
	for _, c := range tr.fake.Table.Chains {
		if c.Hook != nil && *c.Hook == hook {
			chains = append(chains, c)
		}
	}
	priority := func(c *knftables.FakeChain) int {
		n, err := knftables.ParsePriority(knftables.IPv4Family, string(*c.Priority))
		if err != nil {
			tr.t.Fatal(err)
		}
		return n
	}
	slices.SortFunc(chains, func(a, b *knftables.FakeChain) int { return priority(a) - priority(b) })
	for _, c := range chains {
		switch verdict := tr.chain(c.Name); verdict {
		case "DROP", "REJECT":
			return verdict
		}
	}
	return ""
}

// chain returns "" if the chain ends without a verdict (return).
func (tr *tracer) chain(name string) string {
	c := tr.fake.Table.Chains[name]
	if c == nil {
		tr.t.Fatalf("no chain %s", name)
	}
	for _, r := range c.Rules {
		verdict, stop := tr.rule(strings.Fields(r.Rule))
		if verdict != "" || stop {
			return verdict
		}
	}
	return ""
}

// rule evaluates expression by expression until one does not match.
func (tr *tracer) rule(w []string) (verdict string, stop bool) {
	for len(w) > 0 {
		text := strings.Join(w, " ")
		switch {
		case strings.HasPrefix(text, "ct state new "):
			w = w[3:]
		case strings.HasPrefix(text, "ip daddr . meta l4proto . th dport vmap @"):
			return tr.vmap(w[9][1:], tr.dst.String(), tr.proto, strconv.Itoa(int(tr.port)))
		case strings.HasPrefix(text, "meta l4proto . th dport vmap @"):
			return tr.vmap(w[6][1:], tr.proto, strconv.Itoa(int(tr.port)))
		case w[0] == "ip":
			rest, ok := tr.address(w)
			if !ok {
				return "", false
			}
			w = rest
		case w[0] == tr.proto && w[1] == "dport":
			if w[2] != strconv.Itoa(int(tr.port)) {
				return "", false
			}
			w = w[3:]
		case strings.HasPrefix(text, "meta l4proto "):
			if w[2] != tr.proto {
				return "", false
			}
			w = w[3:]
		case strings.HasPrefix(text, "fib saddr type local "):
			if !slices.Contains(tr.local, tr.src) {
				return "", false
			}
			w = w[4:]
		case strings.HasPrefix(text, "mark set mark or "):
			tr.mark = true
			return "", false
		case strings.HasPrefix(text, "mark set mark xor "):
			tr.mark = false
			return "", false
		case strings.HasPrefix(text, "mark and "):
			return "", !tr.mark
		case w[0] == "masquerade":
			tr.masq = true
			return "ACCEPT", true
		case w[0] == "update":
			tr.updated = append(tr.updated, w[1][1:])
			return "", false
		case w[0] == "numgen":
			n, _ := strconv.Atoi(w[3])
			_, choices, _ := strings.Cut(text, "{")
			targets := strings.Split(strings.Trim(choices, "{} "), " , ")
			if len(targets) != n {
				tr.t.Fatalf("%d choices in %s", len(targets), text)
			}
			_, verdict, _ := strings.Cut(targets[tr.pick%n], " : ")
			w = strings.Fields(verdict)
		case w[0] == "dnat":
			to := netip.MustParseAddrPort(w[2])
			tr.dst, tr.port = to.Addr(), to.Port()
			return "ACCEPT", true
		default:
			return tr.verdict(w)
		}
	}
	return "", false
}

func (tr *tracer) verdict(w []string) (string, bool) {
	switch w[0] {
	case "jump":
		return tr.chain(w[1]), false
	case "goto":
		return tr.chain(w[1]), true
	case "drop":
		return "DROP", true
	case "reject":
		return "REJECT", true
	case "return":
		return "", true
	}
	tr.t.Fatalf("unknown statement %q", strings.Join(w, " "))
	return "", true
}

// address matches "ip saddr|daddr [!=] X", X an address, a range, a set or
// "{ a , b }", and returns what follows.
func (tr *tracer) address(w []string) ([]string, bool) {
	addr := tr.src
	if w[1] == "daddr" {
		addr = tr.dst
	}
	w = w[2:]
	want := true
	if w[0] == "!=" {
		want, w = false, w[1:]
	}
	end := 1
	if w[0] == "{" {
		end = slices.Index(w, "}") + 1
	}
	matched := false
	for _, x := range w[:end] {
		switch {
		case strings.ContainsAny(x, "{},"):
		case x[0] == '@':
			set := tr.fake.Table.Sets[x[1:]]
			if set == nil {
				tr.t.Fatalf("no set %s", x)
			}
			matched = matched || set.FindElement(addr.String()) != nil
		case strings.Contains(x, "/"):
			matched = matched || netip.MustParsePrefix(x).Contains(addr)
		default:
			matched = matched || netip.MustParseAddr(x) == addr
		}
	}
	return w[end:], matched == want
}

func (tr *tracer) vmap(name string, key ...string) (string, bool) {
	m := tr.fake.Table.Maps[name]
	if m == nil {
		tr.t.Fatalf("no map %s", name)
	}
	e := m.FindElement(key...)
	if e == nil {
		return "", false
	}
	return tr.verdict(strings.Fields(e.Value[0]))
}
