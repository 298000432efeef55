package serviceips

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/coracle-k8s/coracle/apis/networking"
)

// leakedAfter is how long an address may be without its Service: a request that
// is under way takes no longer. wrongAfter is how long a Service may be seen
// without an address that names it.
const (
	leakedAfter = time.Minute
	wrongAfter  = 5 * time.Second
)

// note is an Event to emit.
type note struct{ reason, message string }

// action returns what the controller was doing, in upstream's words.
func (n *note) action() string {
	switch {
	case n.reason == "ClusterIPNotValid":
		return "ClusterIPValidation"
	case strings.HasPrefix(n.reason, "IPAddress"):
		return "IPAddressAllocation"
	}
	return "ClusterIPAllocation"
}

// repair holds the writes for one address of a Service.
type repair struct {
	remove, create *networkingv1.IPAddress
	note           *note
}

// observed holds the objects that a Service is compared with.
type observed struct {
	// addresses by name, nil if there is none.
	address func(name string) *networkingv1.IPAddress
	service func(namespace, name string) *corev1.Service
	// inRange reports whether any ServiceCIDR contains the address.
	inRange func(netip.Addr) bool
}

func hasClusterIP(s *corev1.Service) bool {
	return s.Spec.Type != corev1.ServiceTypeExternalName && s.Spec.ClusterIP != "" && s.Spec.ClusterIP != corev1.ClusterIPNone
}

func planService(s *corev1.Service, o observed) []repair {
	if !hasClusterIP(s) || s.DeletionTimestamp != nil {
		return nil
	}
	var all []repair
	for _, text := range s.Spec.ClusterIPs {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			all = append(all, repair{note: &note{"ClusterIPNotValid", fmt.Sprintf("Cluster IP %s is not a valid IP; please recreate Service", text)}})
			continue
		}
		if r := planAddressOf(s, ip, o); r != (repair{}) {
			all = append(all, r)
		}
	}
	return all
}

func planAddressOf(s *corev1.Service, ip netip.Addr, o observed) repair {
	family := corev1.IPv4Protocol
	if ip.Is6() {
		family = corev1.IPv6Protocol
	}
	if !o.inRange(ip) {
		return repair{note: &note{"ClusterIPOutOfRange", fmt.Sprintf("Cluster IP [%v]: %s is not within any configured Service CIDR; please recreate service", family, ip)}}
	}
	wanted, found := networking.AddressOf(s, ip), o.address(ip.String())
	if found == nil {
		return repair{create: wanted, note: &note{"ClusterIPNotAllocated", fmt.Sprintf("Cluster IP [%v]: %s is not allocated; repairing", family, ip)}}
	}
	wrong := &note{"ClusterIPNotAllocated", fmt.Sprintf("the ClusterIP [%v]: %s for Service %s/%s has a wrong reference; repairing", family, ip, s.Namespace, s.Name)}
	ref := found.Spec.ParentRef
	switch {
	case ref == nil || ref.Group != "" || ref.Resource != "services":
		return repair{remove: found, create: wanted, note: wrong}
	case ref.Namespace != s.Namespace || ref.Name != s.Name:
		other := o.service(ref.Namespace, ref.Name)
		if other != nil && slices.Contains(other.Spec.ClusterIPs, ip.String()) {
			return repair{note: &note{"ClusterIPAlreadyAllocated", fmt.Sprintf("Cluster IP [%v]:%s was assigned to multiple services; please recreate service", family, ip)}}
		}
		return repair{remove: found, create: wanted, note: wrong}
	case !networking.Managed(found) || found.Labels[networkingv1.LabelIPAddressFamily] != string(family):
		return repair{remove: found, create: wanted}
	}
	return repair{}
}

// planIP returns why an address of the allocator must be removed, nil if it
// need not, and when to look again if it may have to later. svc is the Service
// it names, nil if there is none.
func planIP(ip *networkingv1.IPAddress, svc *corev1.Service, now time.Time) (remove *note, again time.Duration) {
	ref := ip.Spec.ParentRef
	if !networking.Managed(ip) || ref == nil {
		return nil, 0
	}
	age := now.Sub(ip.CreationTimestamp.Time)
	switch {
	case ref.Group != "" || ref.Resource != "services":
		return &note{"IPAddressNotAllocated", fmt.Sprintf("IPAddress %s appears to have been modified, not referencing a Service %v: cleaning up", ip.Name, ref)}, 0
	case svc == nil:
		if age <= leakedAfter {
			return nil, leakedAfter - age + time.Millisecond
		}
		return &note{"IPAddressNotAllocated", fmt.Sprintf("IPAddress: %s for Service %s/%s appears to have leaked: cleaning up", ip.Name, ref.Namespace, ref.Name)}, 0
	case slices.Contains(svc.Spec.ClusterIPs, ip.Name):
		return nil, 0
	case age <= wrongAfter:
		return nil, wrongAfter - age + time.Millisecond
	}
	return &note{"IPAddressWrongReference", fmt.Sprintf("IPAddress: %s for Service %s/%s has a wrong reference; cleaning up", ip.Name, ref.Namespace, ref.Name)}, 0
}
