// Package peers keeps the Service kubernetes leading to every live server of a cluster.
//
// Each of several servers has a Lease in kube-system, with upstream's label of API servers
// (https://kubernetes.io/docs/concepts/architecture/leases/#api-server-identity),
// which also holds the address at which pods reach it. A server that stops removes both
// at once. Those of one that dies are removed by another, a LeaseDuration after its last
// renewal. A server that is alone has no Lease: see Publish.
//
// Invariants:
//
//  1. A Lease is dead when it has not changed for four fifths of its duration by
//     the clock of the server that looks at it; it is renewed, and looked at, every
//     fifth. So clocks of different machines are not compared.
//  2. Addresses are written only over what was read before the Leases were:
//     an older view never replaces a newer one.
//  3. The last address stays: a Service without any is of no use.
//
// The API of this package is not stable: see docs/api.md.
package peers

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis"
)

// ServiceName is the API server's Service in the namespace default, and the name
// of its Endpoints and of its first EndpointSlice.
const ServiceName = "kubernetes"

// sight is when a version of a Lease was seen first.
type sight struct {
	version string
	since   time.Time
}

// look sorts Leases by whether their servers live, given what was seen before.
// It returns what is seen now, and when the next Lease of another server is
// dead unless it changes. own names the Lease of the server that looks.
func look(before map[string]sight, leases []coordinationv1.Lease, own string, now time.Time) (after map[string]sight, live, dead []coordinationv1.Lease, next time.Time) {
	after = map[string]sight{}
	for _, l := range leases {
		s, known := before[l.Name]
		if !known || s.version != l.ResourceVersion {
			s = sight{version: l.ResourceVersion, since: now}
		}
		after[l.Name] = s
		end := s.since.Add(patience(time.Duration(ptr.Deref(l.Spec.LeaseDurationSeconds, 0)) * time.Second))
		switch {
		case l.Name == own:
			live = append(live, l)
		case now.Before(end):
			live = append(live, l)
			if next.IsZero() || end.Before(next) {
				next = end
			}
		default:
			dead = append(dead, l)
		}
	}
	return after, live, dead, next
}

// pace returns the time between renewals of a Lease, patience how long one may
// stay as it is: together its duration.
func pace(duration time.Duration) time.Duration     { return duration / 5 }
func patience(duration time.Duration) time.Duration { return duration - pace(duration) }

// Address returns where pods reach the server whose Lease it is; not valid if
// nowhere.
func Address(lease *coordinationv1.Lease) netip.AddrPort {
	at, err := netip.ParseAddrPort(lease.Annotations[apis.AnnotationAdvertise])
	if err != nil {
		return netip.AddrPort{}
	}
	return at
}

// addresses returns the addresses in Leases, sorted: IPv4 first, then by port.
func addresses(leases []coordinationv1.Lease) []netip.AddrPort {
	var all []netip.AddrPort
	for i := range leases {
		if at := Address(&leases[i]); at.IsValid() {
			all = append(all, at)
		}
	}
	return sorted(all)
}

func sorted(all []netip.AddrPort) []netip.AddrPort {
	slices.SortFunc(all, func(a, b netip.AddrPort) int {
		return cmp.Or(cmp.Compare(a.Addr().BitLen(), b.Addr().BitLen()), cmp.Compare(a.Port(), b.Port()), a.Addr().Compare(b.Addr()))
	})
	return slices.Compact(all)
}

// byPort groups sorted addresses by family and port, since a subset or a slice has
// one port for all; usually there is one group.
func byPort(all []netip.AddrPort) [][]netip.AddrPort {
	var groups [][]netip.AddrPort
	for _, at := range all {
		last := len(groups) - 1
		if last >= 0 && groups[last][0].Port() == at.Port() && groups[last][0].Addr().Is4() == at.Addr().Is4() {
			groups[last] = append(groups[last], at)
		} else {
			groups = append(groups, []netip.AddrPort{at})
		}
	}
	return groups
}

// subsets returns the subsets of the Endpoints.
func subsets(all []netip.AddrPort) []corev1.EndpointSubset {
	var subsets []corev1.EndpointSubset
	for _, group := range byPort(all) {
		s := corev1.EndpointSubset{Ports: []corev1.EndpointPort{{Name: "https", Port: int32(group[0].Port()), Protocol: corev1.ProtocolTCP}}}
		for _, at := range group {
			s.Addresses = append(s.Addresses, corev1.EndpointAddress{IP: at.Addr().String()})
		}
		subsets = append(subsets, s)
	}
	return subsets
}

// endpointSlices returns the slices, the first of the name that it has upstream.
func endpointSlices(all []netip.AddrPort) []*discoveryv1.EndpointSlice {
	var wanted []*discoveryv1.EndpointSlice
	for i, group := range byPort(all) {
		kind := discoveryv1.AddressTypeIPv4
		if !group[0].Addr().Is4() {
			kind = discoveryv1.AddressTypeIPv6
		}
		name := ServiceName
		if i > 0 {
			name = fmt.Sprintf("%s-%s-%d", ServiceName, strings.ToLower(string(kind)), group[0].Port())
		}
		s := &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: ServiceName}},
			AddressType: kind,
			Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("https"), Protocol: ptr.To(corev1.ProtocolTCP), Port: ptr.To(int32(group[0].Port()))}},
		}
		for _, at := range group {
			s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{at.Addr().String()}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)}})
		}
		wanted = append(wanted, s)
	}
	return wanted
}
