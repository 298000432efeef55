package subsets_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/coracle-k8s/coracle/controllers/internal/subsets"
)

func address(ip, uid string) corev1.EndpointAddress {
	a := corev1.EndpointAddress{IP: ip}
	if uid != "" {
		a.TargetRef = &corev1.ObjectReference{UID: types.UID(uid)}
	}
	return a
}

func port(name string, number int32) corev1.EndpointPort {
	return corev1.EndpointPort{Name: name, Port: number}
}

func TestPack(t *testing.T) {
	type (
		addresses = []corev1.EndpointAddress
		ports     = []corev1.EndpointPort
		all       = []corev1.EndpointSubset
	)
	a, b := address("10.0.0.1", "a"), address("10.0.0.2", "b")
	for name, tc := range map[string]struct{ in, want all }{
		"nothing": {nil, nil},
		"one port agrees, one differs": {
			all{{Addresses: addresses{a}, Ports: ports{port("http", 80), port("tls", 1)}}, {Addresses: addresses{b}, Ports: ports{port("http", 80), port("tls", 2)}}},
			all{{Addresses: addresses{a, b}, Ports: ports{port("http", 80)}}, {Addresses: addresses{a}, Ports: ports{port("tls", 1)}}, {Addresses: addresses{b}, Ports: ports{port("tls", 2)}}},
		},
		"two subsets of the same addresses": {
			all{{Addresses: addresses{b, a}, Ports: ports{port("x", 1)}}, {Addresses: addresses{a, b}, Ports: ports{port("a", 2)}}},
			all{{Addresses: addresses{a, b}, Ports: ports{port("a", 2), port("x", 1)}}},
		},
		"not ready trumps ready": {
			all{{Addresses: addresses{a}, Ports: ports{port("x", 1)}}, {NotReadyAddresses: addresses{a}, Ports: ports{port("x", 1)}}},
			all{{NotReadyAddresses: addresses{a}, Ports: ports{port("x", 1)}}},
		},
		"one address of two targets": {
			all{{Addresses: addresses{a, address("10.0.0.1", "other")}, Ports: ports{port("x", 1)}}},
			all{{Addresses: addresses{a, address("10.0.0.1", "other")}, Ports: ports{port("x", 1)}}},
		},
		"without ports": {
			all{{Addresses: addresses{b}}, {NotReadyAddresses: addresses{address("10.0.0.3", "")}}, {Addresses: addresses{a}, Ports: ports{port("x", 1)}}},
			all{{Addresses: addresses{b}, NotReadyAddresses: addresses{address("10.0.0.3", "")}}, {Addresses: addresses{a}, Ports: ports{port("x", 1)}}},
		},
		"with and without ports": {
			all{{Addresses: addresses{a}}, {Addresses: addresses{a}, Ports: ports{port("x", 1)}}},
			all{{Addresses: addresses{a}, Ports: ports{port("x", 1)}}},
		},
		"application protocols": {
			all{{Addresses: addresses{a}, Ports: ports{{Name: "x", Port: 1, AppProtocol: new("h2c")}}}, {Addresses: addresses{b}, Ports: ports{{Name: "x", Port: 1}}}},
			all{{Addresses: addresses{b}, Ports: ports{{Name: "x", Port: 1}}}, {Addresses: addresses{a}, Ports: ports{{Name: "x", Port: 1, AppProtocol: new("h2c")}}}},
		},
	} {
		if diff := cmp.Diff(tc.want, subsets.Pack(tc.in)); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// Whatever the subsets are, the same endpoints come out, none twice, in subsets of
// different addresses, and packing again changes nothing.
func TestPackKeepsEndpoints(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 9))
		var in []corev1.EndpointSubset
		for range r.IntN(6) {
			var s corev1.EndpointSubset
			for range r.IntN(4) {
				a := address(fmt.Sprint("10.0.0.", r.IntN(4)), fmt.Sprint(r.IntN(2)))
				if r.IntN(3) == 0 {
					s.NotReadyAddresses = append(s.NotReadyAddresses, a)
				} else {
					s.Addresses = append(s.Addresses, a)
				}
			}
			for range 1 + r.IntN(2) {
				s.Ports = append(s.Ports, port(fmt.Sprint("p", r.IntN(2)), 1+r.Int32N(2)))
			}
			if len(s.Addresses)+len(s.NotReadyAddresses) > 0 {
				in = append(in, s)
			}
		}
		want, _ := endpoints(in)
		out := subsets.Pack(in)
		got, twice := endpoints(out)
		if twice != "" || !maps.Equal(got, want) {
			t.Fatalf("seed %d: %v\n got %v (twice: %s)\nwant %v", seed, in, got, twice, want)
		}
		var sets []string
		for _, s := range out {
			set := ""
			for _, addresses := range [][]corev1.EndpointAddress{s.Addresses, s.NotReadyAddresses} {
				for _, a := range addresses {
					set += id(a) + " "
				}
				set += "| "
			}
			if slices.Contains(sets, set) {
				t.Fatalf("seed %d: two subsets of %s", seed, set)
			}
			sets = append(sets, set)
		}
		if diff := cmp.Diff(out, subsets.Pack(out)); diff != "" {
			t.Fatalf("seed %d: packed again:\n%s", seed, diff)
		}
	}
}

func id(a corev1.EndpointAddress) string { return a.IP + "/" + string(a.TargetRef.UID) }

// endpoints maps every address with a port to whether it is ready, and names one
// that is listed twice.
func endpoints(all []corev1.EndpointSubset) (ready map[string]bool, twice string) {
	ready = map[string]bool{}
	for _, s := range all {
		ports := s.Ports
		if len(ports) == 0 {
			ports = []corev1.EndpointPort{{}}
		}
		for _, p := range ports {
			for isReady, addresses := range map[bool][]corev1.EndpointAddress{true: s.Addresses, false: s.NotReadyAddresses} {
				for _, a := range addresses {
					k := fmt.Sprint(id(a), " ", p.Name, " ", p.Port)
					before, known := ready[k]
					if known {
						twice = k
					}
					ready[k] = isReady && (before || !known)
				}
			}
		}
	}
	return ready, twice
}
