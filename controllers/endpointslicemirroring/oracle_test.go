package endpointslicemirroring

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Whatever slices there were, after one plan they have each valid address of
// each subset once, ready if it is in any, and then a plan is empty.
func TestPlansLeadToTheSameAddresses(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 1))
		have, made := map[string]*discoveryv1.EndpointSlice{}, 0
		for step := range 4 {
			e := endpoints(80, nil, nil)
			e.Subsets = nil
			want := map[string]bool{}
			for range rng.IntN(4) {
				port := int32(80 + rng.IntN(2))
				ips := func() (out []string) {
					for range rng.IntN(4) {
						out = append(out, []string{"10.0.0.1", "10.0.0.2", "fd00::1", "nonsense"}[rng.IntN(4)])
					}
					return out
				}
				ready, notReady := ips(), ips()
				e.Subsets = append(e.Subsets, endpoints(port, ready, notReady).Subsets...)
				for _, ip := range ready {
					if _, known := want[fmt.Sprint(port, ip)]; ip != "nonsense" && !known {
						want[fmt.Sprint(port, ip)] = true
					}
				}
				for _, ip := range notReady {
					if _, known := want[fmt.Sprint(port, ip)]; ip != "nonsense" && !known {
						want[fmt.Sprint(port, ip)] = false
					}
				}
			}
			p := MakePlan(e, slices.Collect(maps.Values(have)))
			for _, s := range p.Delete {
				delete(have, s.Name)
			}
			for _, s := range p.Update {
				if have[s.Name] == nil || have[s.Name].AddressType != s.AddressType {
					t.Fatalf("seed %d step %d: slice %q is updated to another family", seed, step, s.Name)
				}
				have[s.Name] = s
			}
			for _, s := range p.Create {
				made++
				s.Name = fmt.Sprint("s", made)
				have[s.Name] = s
			}
			if diff := cmp.Diff(want, addresses(t, have)); diff != "" {
				t.Fatalf("seed %d step %d: %s\n%v", seed, step, diff, e.Subsets)
			}
			if again := MakePlan(e, slices.Collect(maps.Values(have))); len(again.Create)+len(again.Update)+len(again.Delete) > 0 {
				t.Fatalf("seed %d step %d: written again: %+v", seed, step, again)
			}
		}
	}
}

func addresses(t *testing.T, have map[string]*discoveryv1.EndpointSlice) map[string]bool {
	got := map[string]bool{}
	for _, s := range have {
		for _, e := range s.Endpoints {
			key := fmt.Sprint(*s.Ports[0].Port, e.Addresses[0])
			if _, twice := got[key]; twice {
				t.Errorf("%s is there twice", key)
			}
			got[key] = *e.Conditions.Ready
		}
	}
	return got
}
