// Package subsets brings the subsets of Endpoints into the one form that the API
// defines for them, for the controllers that write and that read Endpoints.
//
// The API of this package is not stable: see docs/api.md.
package subsets

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Pack returns the same endpoints in as few subsets as possible. The addresses that offer a port
// and those that offer another share a subset of both ports if they are the same and equally ready,
// and no port of an address is in two subsets. An address is identified by its IP and the UID of
// its target; where it is listed as ready and as not ready for one port, it is not ready. Subsets,
// ports and addresses are sorted, so that equal endpoints give equal results. The subsets given are
// not changed.
//
// EndpointSubset defines this:
// https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoints-v1/.
func Pack(subsets []corev1.EndpointSubset) []corev1.EndpointSubset {
	offers := map[string]*offer{}
	for i := range subsets {
		s := &subsets[i]
		if len(s.Ports) == 0 {
			collect(offers, noPort, corev1.EndpointPort{}, s)
		}
		for _, port := range s.Ports {
			collect(offers, portKey(&port), port, s)
		}
	}
	var out []corev1.EndpointSubset
	found := map[string]int{} // by addresses, the index in out
	for _, k := range slices.Sorted(maps.Keys(offers)) {
		set := offers[k].set()
		i, ok := found[set]
		if !ok {
			i = len(out)
			found[set] = i
			out = append(out, offers[k].subset())
		}
		if k != noPort {
			out[i].Ports = append(out[i].Ports, offers[k].port)
		}
	}
	return out
}

// noPort is the key of addresses without a port, which a headless Service may have.
const noPort = ""

// portKey orders ports by name and holds all that distinguishes one from another.
func portKey(p *corev1.EndpointPort) string {
	k := fmt.Sprintf("%s|%05d|%s|", p.Name, p.Port, p.Protocol)
	if p.AppProtocol != nil {
		k += *p.AppProtocol
	}
	return k
}

// offer is a port with the addresses that have it.
type offer struct {
	port      corev1.EndpointPort
	addresses map[addressKey]offering
}

type addressKey struct {
	ip  string
	uid types.UID
}

type offering struct {
	address corev1.EndpointAddress
	ready   bool
}

func collect(offers map[string]*offer, key string, port corev1.EndpointPort, s *corev1.EndpointSubset) {
	o := offers[key]
	if o == nil {
		o = &offer{port: port, addresses: map[addressKey]offering{}}
		offers[key] = o
	}
	o.add(s.Addresses, true)
	o.add(s.NotReadyAddresses, false)
}

func (o *offer) add(addresses []corev1.EndpointAddress, ready bool) {
	for _, a := range addresses {
		k := addressKey{ip: a.IP}
		if a.TargetRef != nil {
			k.uid = a.TargetRef.UID
		}
		known, ok := o.addresses[k]
		if !ok {
			known = offering{a, true}
		}
		known.ready = known.ready && ready
		o.addresses[k] = known
	}
}

func (o *offer) sorted() []addressKey {
	return slices.SortedFunc(maps.Keys(o.addresses), func(a, b addressKey) int {
		return cmp.Or(cmp.Compare(a.ip, b.ip), cmp.Compare(a.uid, b.uid))
	})
}

// set identifies the addresses and which of them are ready.
func (o *offer) set() string {
	var b strings.Builder
	for _, k := range o.sorted() {
		fmt.Fprintln(&b, k.ip, k.uid, o.addresses[k].ready)
	}
	return b.String()
}

func (o *offer) subset() corev1.EndpointSubset {
	var s corev1.EndpointSubset
	for _, k := range o.sorted() {
		if a := o.addresses[k]; a.ready {
			s.Addresses = append(s.Addresses, a.address)
		} else {
			s.NotReadyAddresses = append(s.NotReadyAddresses, a.address)
		}
	}
	return s
}
