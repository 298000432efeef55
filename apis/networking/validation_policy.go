package networking

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// ValidateNetworkPolicy validates a new NetworkPolicy.
func ValidateNetworkPolicy(p *networkingv1.NetworkPolicy) field.ErrorList {
	errs := append(validateMeta(&p.ObjectMeta, true), policy{}.validate(&p.Spec)...)
	return append(errs, declaredBlocks(&p.Spec)...)
}

// ValidateNetworkPolicyUpdate validates a changed NetworkPolicy. Selectors and
// blocks that were stored before stay allowed.
func ValidateNetworkPolicyUpdate(p, old *networkingv1.NetworkPolicy) field.ErrorList {
	v := policy{stored: cidrs(&old.Spec)}
	strict := metav1validation.ValidateLabelSelector(&old.Spec.PodSelector, metav1validation.LabelSelectorValidationOptions{}, nil)
	v.selectors.AllowInvalidLabelValueInSelector = len(strict) > 0
	errs := append(validateMetaUpdate(&p.ObjectMeta, &old.ObjectMeta), v.validate(&p.Spec)...)
	return append(errs, declaredBlocks(&p.Spec)...)
}

// declaredBlocks is declared beside upstream's types: it comes after all other errors.
func declaredBlocks(s *networkingv1.NetworkPolicySpec) field.ErrorList {
	var errs field.ErrorList
	eachPeer(s, func(path *field.Path, peer *networkingv1.NetworkPolicyPeer) {
		if peer.IPBlock != nil && peer.IPBlock.CIDR == "" {
			errs = append(errs, field.Required(path.Child("ipBlock", "cidr"), ""))
		}
	})
	return errs
}

// NetworkPolicyWarnings returns warnings about blocks that are not written in their
// canonical form.
func NetworkPolicyWarnings(p *networkingv1.NetworkPolicy) []string {
	var warnings []string
	eachPeer(&p.Spec, func(path *field.Path, peer *networkingv1.NetworkPolicyPeer) {
		block := peer.IPBlock
		if block == nil {
			return
		}
		at := path.Child("ipBlock")
		warnings = append(warnings, utilvalidation.GetWarningsForCIDR(at.Child("cidr"), block.CIDR)...)
		for i, except := range block.Except {
			warnings = append(warnings, utilvalidation.GetWarningsForCIDR(at.Child("except").Index(i), except)...)
		}
	})
	return warnings
}

func cidrs(s *networkingv1.NetworkPolicySpec) []string {
	var all []string
	eachPeer(s, func(_ *field.Path, peer *networkingv1.NetworkPolicyPeer) {
		if peer.IPBlock != nil {
			all = append(append(all, peer.IPBlock.CIDR), peer.IPBlock.Except...)
		}
	})
	return all
}

func eachPeer(s *networkingv1.NetworkPolicySpec, f func(*field.Path, *networkingv1.NetworkPolicyPeer)) {
	for i := range s.Ingress {
		for j := range s.Ingress[i].From {
			f(specPath.Child("ingress").Index(i).Child("from").Index(j), &s.Ingress[i].From[j])
		}
	}
	for i := range s.Egress {
		for j := range s.Egress[i].To {
			f(specPath.Child("egress").Index(i).Child("to").Index(j), &s.Egress[i].To[j])
		}
	}
}

// policy validates a NetworkPolicy in view of what was stored.
type policy struct {
	selectors metav1validation.LabelSelectorValidationOptions
	stored    []string // blocks
}

func (v policy) validate(s *networkingv1.NetworkPolicySpec) field.ErrorList {
	errs := metav1validation.ValidateLabelSelector(&s.PodSelector, v.selectors, specPath.Child("podSelector"))
	for i, rule := range s.Ingress {
		errs = append(errs, v.rule(specPath.Child("ingress").Index(i), "from", rule.Ports, rule.From)...)
	}
	for i, rule := range s.Egress {
		errs = append(errs, v.rule(specPath.Child("egress").Index(i), "to", rule.Ports, rule.To)...)
	}
	path, known := specPath.Child("policyTypes"), []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	if len(s.PolicyTypes) > len(known) {
		return append(errs, field.Invalid(path, &s.PolicyTypes, "may not specify more than two policyTypes"))
	}
	for i, t := range s.PolicyTypes {
		if t != known[0] && t != known[1] {
			errs = append(errs, field.NotSupported(path.Index(i), t, known))
		}
	}
	return errs
}

func (v policy) rule(path *field.Path, peersName string, ports []networkingv1.NetworkPolicyPort, peers []networkingv1.NetworkPolicyPeer) field.ErrorList {
	var errs field.ErrorList
	for i := range ports {
		errs = append(errs, policyPort(path.Child("ports").Index(i), &ports[i])...)
	}
	for i := range peers {
		errs = append(errs, v.peer(path.Child(peersName).Index(i), &peers[i])...)
	}
	return errs
}

func policyPort(path *field.Path, p *networkingv1.NetworkPolicyPort) field.ErrorList {
	var errs field.ErrorList
	if p.Protocol != nil {
		switch *p.Protocol {
		case corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP:
		default:
			errs = append(errs, field.NotSupported(path.Child("protocol"), *p.Protocol, []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}))
		}
	}
	end := path.Child("endPort")
	switch {
	case p.Port == nil:
		if p.EndPort != nil {
			errs = append(errs, field.Invalid(end, *p.EndPort, "may not be specified when `port` is not specified"))
		}
	case p.Port.Type == intstr.Int:
		errs = append(errs, check.Invalid(path.Child("port"), p.Port.IntVal, utilvalidation.IsValidPortNum(int(p.Port.IntVal)))...)
		if p.EndPort != nil {
			if *p.EndPort < p.Port.IntVal {
				errs = append(errs, field.Invalid(end, *p.EndPort, "must be greater than or equal to `port`"))
			}
			errs = append(errs, check.Invalid(end, *p.EndPort, utilvalidation.IsValidPortNum(int(*p.EndPort)))...)
		}
	default:
		if p.EndPort != nil {
			errs = append(errs, field.Invalid(end, *p.EndPort, "may not be specified when `port` is non-numeric"))
		}
		errs = append(errs, check.Invalid(path.Child("port"), p.Port.StrVal, utilvalidation.IsValidPortName(p.Port.StrVal))...)
	}
	return errs
}

func (v policy) peer(path *field.Path, p *networkingv1.NetworkPolicyPeer) field.ErrorList {
	var errs field.ErrorList
	n := 0
	if p.PodSelector != nil {
		n++
		errs = append(errs, metav1validation.ValidateLabelSelector(p.PodSelector, v.selectors, path.Child("podSelector"))...)
	}
	if p.NamespaceSelector != nil {
		n++
		errs = append(errs, metav1validation.ValidateLabelSelector(p.NamespaceSelector, v.selectors, path.Child("namespaceSelector"))...)
	}
	if p.IPBlock != nil {
		n++
		errs = append(errs, v.block(path.Child("ipBlock"), p.IPBlock)...)
	}
	switch {
	case n == 0:
		errs = append(errs, field.Required(path, "must specify a peer"))
	case n > 1 && p.IPBlock != nil:
		errs = append(errs, field.Forbidden(path, "may not specify both ipBlock and another peer"))
	}
	return errs
}

func (v policy) block(path *field.Path, b *networkingv1.IPBlock) field.ErrorList {
	if b.CIDR == "" {
		return nil // see declaredBlocks
	}
	errs := utilvalidation.IsValidCIDRForLegacyField(path.Child("cidr"), b.CIDR, true, v.stored)
	_, whole, err := netutils.ParseCIDRSloppy(b.CIDR)
	if err != nil {
		return errs
	}
	size, _ := whole.Mask.Size()
	for i, except := range b.Except {
		at := path.Child("except").Index(i)
		errs = append(errs, utilvalidation.IsValidCIDRForLegacyField(at, except, true, v.stored)...)
		_, part, err := netutils.ParseCIDRSloppy(except)
		if err != nil {
			continue
		}
		if partSize, _ := part.Mask.Size(); !whole.Contains(part.IP) || size >= partSize {
			errs = append(errs, field.Invalid(at, except, "must be a strict subset of `cidr`"))
		}
	}
	return errs
}
