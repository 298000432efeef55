package endpointslicemirroring

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// TestPlanAgainstOracle changes Endpoints again and again, applies the plans,
// and compares the slices with the Endpoints, address by address.
func TestPlanAgainstOracle(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 6))
		slices := map[string]*discoveryv1.EndpointSlice{}
		for turn := range 6 {
			e := random(r)
			p := plan(e, values(slices))
			for i, s := range p.Create {
				s.Name = fmt.Sprint("s-", turn, "-", i)
			}
			for _, s := range p.Delete {
				delete(slices, s.Name)
			}
			for _, s := range append(p.Create, p.Update...) {
				if old := slices[s.Name]; old != nil && old.AddressType != s.AddressType {
					t.Fatalf("seed %d: slice %s changes its family", seed, s.Name)
				}
				slices[s.Name] = s
			}
			want, got := said(e), map[string]bool{}
			for _, s := range slices {
				for _, a := range s.Endpoints {
					if strings.Contains(a.Addresses[0], ":") != (s.AddressType == discoveryv1.AddressTypeIPv6) {
						t.Fatalf("seed %d: %s in a slice of %s", seed, a.Addresses[0], s.AddressType)
					}
					for _, port := range s.Ports {
						at := fmt.Sprint(a.Addresses[0], " ", *port.Port, " ", *a.Conditions.Ready)
						if got[at] {
							t.Fatalf("seed %d: %s is in two slices", seed, at)
						}
						got[at] = true
					}
				}
			}
			if !maps.Equal(got, want) {
				t.Fatalf("seed %d, turn %d:\n got %v\nwant %v", seed, turn, got, want)
			}
			if p := plan(e, values(slices)); len(p.Create)+len(p.Update)+len(p.Delete) > 0 {
				t.Fatalf("seed %d, turn %d: not stable: %+v", seed, turn, p)
			}
		}
	}
}

func values(all map[string]*discoveryv1.EndpointSlice) (out []*discoveryv1.EndpointSlice) {
	for _, s := range all {
		out = append(out, s)
	}
	return out
}

// random has up to three subsets of different ports.
func random(r *rand.Rand) *corev1.Endpoints {
	e := endpoints(80, nil, nil)
	e.Subsets = nil
	for port := range int32(3) {
		var ready, not []string
		for i := range r.IntN(4) {
			ip := fmt.Sprint([]string{"10.0.0.", "fd00::1", "nonsense"}[r.IntN(3)], i)
			if r.IntN(2) == 0 {
				ready = append(ready, ip)
			} else {
				not = append(not, ip)
			}
		}
		if len(ready)+len(not) > 0 {
			e.Subsets = append(e.Subsets, endpoints(80+port, ready, not).Subsets...)
		}
	}
	return e
}

// said returns every valid address with its port, and whether it is ready.
func said(e *corev1.Endpoints) map[string]bool {
	out := map[string]bool{}
	for _, s := range e.Subsets {
		for ready, all := range map[bool][]corev1.EndpointAddress{true: s.Addresses, false: s.NotReadyAddresses} {
			for _, a := range all {
				if !strings.HasPrefix(a.IP, "nonsense") {
					out[fmt.Sprint(a.IP, " ", s.Ports[0].Port, " ", ready)] = true
				}
			}
		}
	}
	return out
}
