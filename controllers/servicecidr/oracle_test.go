package servicecidr

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

// A range is needed if, of all addresses one after the other, one that is taken
// is in it and in no other.
func TestNeededAgainstEveryAddress(t *testing.T) {
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 1))
		random := func() string { return fmt.Sprintf("10.0.0.%d/%d", rng.IntN(16)*16, 26+rng.IntN(6)) }
		var all []networkingv1.ServiceCIDR
		var prefixes []netip.Prefix
		for i := range 1 + rng.IntN(4) {
			p := netip.MustParsePrefix(random()).Masked()
			prefixes = append(prefixes, p)
			all = append(all, *cidr(fmt.Sprint(i), p.String()))
		}
		taken := map[netip.Addr]bool{}
		var addresses []networkingv1.IPAddress
		for range rng.IntN(6) {
			ip := netip.AddrFrom4([4]byte{10, 0, 0, byte(rng.IntN(256))})
			taken[ip] = true
			addresses = append(addresses, *address(ip.String()))
		}
		want := false
		for b := range 256 {
			ip := netip.AddrFrom4([4]byte{10, 0, 0, byte(b)})
			in := 0
			for _, p := range prefixes[1:] {
				if p.Contains(ip) {
					in++
				}
			}
			want = want || taken[ip] && prefixes[0].Contains(ip) && in == 0
		}
		if got := needed(&all[0], all, addresses); got != want {
			t.Fatalf("seed %d: %v of %v needed: %t", seed, prefixes[0], prefixes, got)
		}
	}
}
