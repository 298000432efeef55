package nodeipam

import (
	"fmt"
	"math/rand"
	"net/netip"
	"testing"

	. "github.com/onsi/gomega"
)

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func TestRanges(t *testing.T) {
	for name, c := range map[string]struct {
		cluster string
		mask    int
		want    []string // the first, the second and the last; none: an error
	}{
		"default":     {"10.244.0.0/16", 24, []string{"10.244.0.0/24", "10.244.1.0/24", "10.244.255.0/24"}},
		"odd bits":    {"10.96.0.0/11", 21, []string{"10.96.0.0/21", "10.96.8.0/21", "10.127.248.0/21"}},
		"one":         {"10.0.0.0/24", 24, []string{"10.0.0.0/24", "", "10.0.0.0/24"}},
		"IPv6":        {"fd00:1::/48", 64, []string{"fd00:1::/64", "fd00:1:0:1::/64", "fd00:1:0:ffff::/64"}},
		"IPv6 late":   {"fd00::/108", 112, []string{"fd00::/112", "fd00::1:0/112", "fd00::f:0/112"}},
		"too many":    {"10.0.0.0/8", 25, nil},
		"too large":   {"10.0.0.0/24", 23, nil},
		"not a range": {"10.0.0.1/24", 26, nil},
		"too small":   {"10.0.0.0/24", 33, nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			r := Range{netip.MustParsePrefix(c.cluster), c.mask}
			a, err := NewAllocator(r)
			if c.want == nil {
				g.Expect(err).To(HaveOccurred())
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			n := len(a.pools[0].used)
			for i, at := range []int{0, 1, n - 1} {
				if c.want[i] == "" {
					continue
				}
				got, err := r.Subnet(at)
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(got.String()).To(Equal(c.want[i]))
				g.Expect(a.pools[0].index(got.Addr())).To(Equal(at))
			}
			_, err = r.Subnet(n)
			g.Expect(err).To(MatchError(ContainSubstring("set network.podCIDR to a larger one")))
		})
	}
}

func TestHonoursWhatNodesHave(t *testing.T) {
	g := NewWithT(t)
	a, err := NewAllocator(Range{netip.MustParsePrefix("10.0.0.0/22"), 24}, Range{netip.MustParsePrefix("fd00::/62"), 64})
	g.Expect(err).NotTo(HaveOccurred())
	a.Observe("large", prefixes("10.0.0.0/23"))                // two of them
	a.Observe("small", prefixes("10.0.2.128/26", "fd00::/64")) // part of one
	a.Observe("elsewhere", prefixes("192.168.0.0/24"))

	got, ok := a.Assign("a")
	g.Expect(ok).To(BeTrue())
	g.Expect(got).To(Equal(prefixes("10.0.3.0/24", "fd00:0:0:1::/64")))
	again, _ := a.Assign("a")
	g.Expect(again).To(Equal(got))
	_, ok = a.Assign("b")
	g.Expect(ok).To(BeFalse())
	g.Expect(a.Forget("b")).To(BeFalse(), "it was given a part")

	// Two nodes that came with the same: it is free when both are gone.
	a.Observe("twin", prefixes("10.0.2.0/24"))
	g.Expect(a.Forget("small")).To(BeTrue())
	_, ok = a.Assign("b")
	g.Expect(ok).To(BeFalse())
	a.Forget("twin")
	got, ok = a.Assign("b")
	g.Expect(ok).To(BeTrue())
	g.Expect(got).To(Equal(prefixes("10.0.2.0/24", "fd00:0:0:2::/64")))
	have, _ := a.Assign("elsewhere")
	g.Expect(have).To(Equal(prefixes("192.168.0.0/24")))
}

// Whatever happens, the ranges that the allocator holds are those that a count over all
// nodes gives, no two assigned ones overlap, and it refuses only when nothing is free.
func TestAgainstOracle(t *testing.T) {
	for seed := range int64(20) {
		rnd := rand.New(rand.NewSource(seed))
		cluster := netip.MustParsePrefix("10.0.0.0/20")
		a, err := NewAllocator(Range{cluster, 24})
		if err != nil {
			t.Fatal(err)
		}
		nodes := map[string][]netip.Prefix{}
		overlap := func(p netip.Prefix) (n int) {
			for _, have := range nodes {
				for _, q := range have {
					if p.Overlaps(q) {
						n++
					}
				}
			}
			return n
		}
		for range 500 {
			name := fmt.Sprint("n", rnd.Intn(24))
			switch rnd.Intn(5) {
			case 0:
				a.Forget(name)
				delete(nodes, name)
			case 1:
				p, _ := netip.AddrFrom4([4]byte{10, 0, byte(rnd.Intn(20)), byte(rnd.Intn(256))}).Prefix(18 + rnd.Intn(9))
				a.Observe(name, []netip.Prefix{p})
				nodes[name] = []netip.Prefix{p}
			default:
				had := nodes[name]
				got, ok := a.Assign(name)
				if had != nil {
					break
				}
				if ok && overlap(got[0]) > 0 {
					t.Fatalf("seed %d: %s is taken: %v", seed, got[0], nodes)
				}
				if ok {
					nodes[name] = got
				}
				for i := range 16 {
					if p, _ := (Range{cluster, 24}).Subnet(i); !ok && overlap(p) == 0 {
						t.Fatalf("seed %d: %s is free", seed, p)
					}
				}
			}
			taken := 0
			for i := range 16 {
				if p, _ := (Range{cluster, 24}).Subnet(i); overlap(p) > 0 {
					taken++
				}
			}
			if taken != a.pools[0].taken {
				t.Fatalf("seed %d: %d are taken, counted %d", seed, taken, a.pools[0].taken)
			}
		}
	}
}
