package networking

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The names of the allocator of ClusterIPs and of the range that the server was configured
// with, and the finalizer that keeps ranges from being deleted while they are used:
// https://kubernetes.io/docs/reference/networking/virtual-ips/.
const (
	AllocatorName = "ipallocator.k8s.io"
	DefaultCIDR   = "kubernetes"
	CIDRFinalizer = "networking.k8s.io/service-cidr-finalizer"
)

// AddressOf returns the object that gives ip to svc.
func AddressOf(svc *corev1.Service, ip netip.Addr) *networkingv1.IPAddress {
	family := corev1.IPv4Protocol
	if ip.Is6() {
		family = corev1.IPv6Protocol
	}
	return &networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{Name: ip.String(), Labels: map[string]string{
			networkingv1.LabelIPAddressFamily: string(family), networkingv1.LabelManagedBy: AllocatorName,
		}},
		Spec: networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Resource: "services", Namespace: svc.Namespace, Name: svc.Name}},
	}
}

// Managed reports whether the allocator wrote the address.
func Managed(ip *networkingv1.IPAddress) bool {
	return ip.Labels[networkingv1.LabelManagedBy] == AllocatorName
}

// BelongsTo reports whether the allocator gave the address to svc.
func BelongsTo(ip *networkingv1.IPAddress, svc *corev1.Service) bool {
	r := ip.Spec.ParentRef
	return Managed(ip) && r != nil && *r == networkingv1.ParentReference{Resource: "services", Namespace: svc.Namespace, Name: svc.Name}
}

// Ready reports whether addresses may be taken from a range. A range without
// the condition Ready, which its controller has not looked at yet, is ready.
func Ready(c *networkingv1.ServiceCIDR) bool {
	if c.DeletionTimestamp != nil {
		return false
	}
	condition := meta.FindStatusCondition(c.Status.Conditions, networkingv1.ServiceCIDRConditionReady)
	return condition == nil || condition.Status == metav1.ConditionTrue
}

// Prefixes returns the prefixes of a range. Strings that are no prefixes are left out.
func Prefixes(c *networkingv1.ServiceCIDR) []netip.Prefix {
	var all []netip.Prefix
	for _, cidr := range c.Spec.CIDRs {
		if p, err := netip.ParsePrefix(cidr); err == nil {
			all = append(all, p.Masked())
		}
	}
	return all
}
