package nodeaddress

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	nodeapi "github.com/coracle-k8s/coracle/apis/core/node"
)

// MaxAddresses bounds the addresses of one Service.
const MaxAddresses = 16

// simulatedProvider begins the provider IDs of nodes that only pretend.
const simulatedProvider = "coracle://simulated/"

// observed is all that an assignment is made of.
type observed struct {
	// services are all that have or wait for addresses.
	services []*corev1.Service
	// nodes are those that may take traffic.
	nodes []*corev1.Node
	// local are, per Service with externalTrafficPolicy Local, the names of the
	// nodes with a ready endpoint of it.
	local map[types.NamespacedName]map[string]bool
	// reserved are TCP ports that others than Services listen on; one of an
	// unspecified address is of all addresses.
	reserved []netip.AddrPort
}

// TakenError is why a Service has to wait.
type TakenError struct {
	Address  netip.Addr
	Port     int32
	Protocol corev1.Protocol
	// Holder names the owner of the port: a Service as namespace/name, or a
	// part of the cluster.
	Holder string
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("port %d/%s of %s is taken by %s", e.Port, e.Protocol, e.Address, e.Holder)
}

// assignment is one Service's share.
type assignment struct {
	addresses []netip.Addr
	// waits is a *TakenError if there are addresses, but none is free.
	waits error
}

// place is a port of an address.
type place struct {
	addr     netip.Addr
	port     int32
	protocol corev1.Protocol
}

// assign shares the nodes' addresses among all Services: first each Service
// keeps those in its status, then the rest goes to the older ones. A Service
// gets the addresses at which all its ports are free.
func assign(o observed) map[types.NamespacedName]assignment {
	services := slices.SortedFunc(slices.Values(o.services), byAge)
	claims := map[place]string{}
	nodes := sorted(o.nodes)
	wanted := make([][]netip.Addr, len(services))
	got := make([]map[netip.Addr]bool, len(services))
	take := func(i int, a netip.Addr) error {
		if got[i][a] {
			return nil
		}
		places := placesOf(services[i], a)
		for _, p := range places {
			if holder := o.holder(claims, p); holder != "" {
				return &TakenError{Address: a, Port: p.port, Protocol: p.protocol, Holder: holder}
			}
		}
		for _, p := range places {
			claims[p] = keyOf(services[i]).String()
		}
		got[i][a] = true
		return nil
	}
	for i, svc := range services {
		wanted[i], got[i] = candidates(svc, nodes, o.local[keyOf(svc)]), map[netip.Addr]bool{}
		for _, a := range wanted[i] {
			if has(svc, a) {
				_ = take(i, a) // an older one has it as well
			}
		}
	}
	out := make(map[types.NamespacedName]assignment, len(services))
	for i, svc := range services {
		var share assignment
		for _, a := range wanted[i] {
			err := take(i, a)
			share.waits = cmp.Or(share.waits, err)
			if err == nil {
				share.addresses = append(share.addresses, a)
			}
		}
		if len(share.addresses) > 0 {
			share.waits = nil
		}
		out[keyOf(svc)] = share
	}
	return out
}

// ingress returns the addresses as a Service's status lists them.
func ingress(addresses []netip.Addr) []corev1.LoadBalancerIngress {
	mode := corev1.LoadBalancerIPModeVIP
	var out []corev1.LoadBalancerIngress
	for _, a := range addresses {
		out = append(out, corev1.LoadBalancerIngress{IP: a.String(), IPMode: &mode})
	}
	return out
}

func keyOf(svc *corev1.Service) types.NamespacedName {
	return types.NamespacedName{Namespace: svc.Namespace, Name: svc.Name}
}

func byAge(a, b *corev1.Service) int {
	return cmp.Or(
		a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Name, b.Name),
	)
}

// sorted returns the ready nodes by name; simulated ones only if there are no others.
func sorted(nodes []*corev1.Node) []*corev1.Node {
	nodes = slices.DeleteFunc(slices.Clone(nodes), func(n *corev1.Node) bool { return !nodeapi.IsReady(n) })
	nodes = prefer(nodes, func(n *corev1.Node) bool { return !strings.HasPrefix(n.Spec.ProviderID, simulatedProvider) })
	slices.SortFunc(nodes, func(a, b *corev1.Node) int { return cmp.Compare(a.Name, b.Name) })
	return nodes
}

// candidates returns the addresses of the nodes in the Service's families, in
// the order of families, then of nodes: external ones if any node has one. Of
// these the Service may wish for one.
func candidates(svc *corev1.Service, nodes []*corev1.Node, local map[string]bool) []netip.Addr {
	if onlyLocal(svc) {
		nodes = prefer(nodes, func(n *corev1.Node) bool { return local[n.Name] })
	}
	kind := corev1.NodeInternalIP
	if slices.ContainsFunc(nodes, func(n *corev1.Node) bool { return len(addressesOf(n, corev1.NodeExternalIP)) > 0 }) {
		kind = corev1.NodeExternalIP
	}
	var all, out []netip.Addr
	for _, n := range nodes {
		all = append(all, addressesOf(n, kind)...)
	}
	for _, is4 := range families(svc) {
		for _, a := range all {
			if a.Is4() == is4 && !slices.Contains(out, a) && len(out) < MaxAddresses {
				out = append(out, a)
			}
		}
	}
	if wish, err := netip.ParseAddr(svc.Spec.LoadBalancerIP); err == nil && slices.Contains(out, wish) {
		return []netip.Addr{wish}
	}
	return out
}

// prefer keeps what is good, or all if nothing is.
func prefer(nodes []*corev1.Node, good func(*corev1.Node) bool) []*corev1.Node {
	var out []*corev1.Node
	for _, n := range nodes {
		if good(n) {
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		return nodes
	}
	return out
}

func onlyLocal(svc *corev1.Service) bool {
	return svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}

func addressesOf(n *corev1.Node, kind corev1.NodeAddressType) []netip.Addr {
	var out []netip.Addr
	for _, a := range n.Status.Addresses {
		if addr, err := netip.ParseAddr(a.Address); err == nil && a.Type == kind {
			out = append(out, addr.Unmap())
		}
	}
	return out
}

// families returns the Service's families, true for IPv4.
func families(svc *corev1.Service) []bool {
	if len(svc.Spec.IPFamilies) == 0 {
		return []bool{!strings.Contains(svc.Spec.ClusterIP, ":")}
	}
	var out []bool
	for _, f := range svc.Spec.IPFamilies {
		out = append(out, f == corev1.IPv4Protocol)
	}
	return out
}

func protocol(p *corev1.ServicePort) corev1.Protocol { return cmp.Or(p.Protocol, corev1.ProtocolTCP) }

func placesOf(svc *corev1.Service, a netip.Addr) []place {
	var out []place
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		out = append(out, place{a, p.Port, protocol(p)})
	}
	return out
}

// holder names the owner of a place, "" if it is free.
func (o *observed) holder(claims map[place]string, p place) string {
	if holder := claims[p]; holder != "" || p.protocol != corev1.ProtocolTCP {
		return holder
	}
	for _, r := range o.reserved {
		if int32(r.Port()) == p.port && (r.Addr() == p.addr || r.Addr().IsUnspecified()) {
			return "the API server"
		}
	}
	for _, n := range o.nodes {
		if n.Status.DaemonEndpoints.KubeletEndpoint.Port == p.port &&
			slices.ContainsFunc(n.Status.Addresses, func(a corev1.NodeAddress) bool { return a.Address == p.addr.String() }) {
			return "node " + n.Name
		}
	}
	return ""
}

// balanced reports whether a Service has or waits for addresses of this balancer.
func balanced(svc *corev1.Service) bool {
	return svc.Spec.Type == corev1.ServiceTypeLoadBalancer && svc.Spec.LoadBalancerClass == nil && svc.DeletionTimestamp == nil
}

func has(svc *corev1.Service, a netip.Addr) bool {
	return slices.ContainsFunc(svc.Status.LoadBalancer.Ingress, func(i corev1.LoadBalancerIngress) bool { return i.IP == a.String() })
}

// rivals reports whether two Services may want the same port of an address.
func rivals(a, b *corev1.Service) bool {
	return slices.ContainsFunc(a.Spec.Ports, func(p corev1.ServicePort) bool {
		return slices.ContainsFunc(b.Spec.Ports, func(q corev1.ServicePort) bool {
			return p.Port == q.Port && protocol(&p) == protocol(&q)
		})
	})
}
