package service

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
	"k8s.io/utils/ptr"

	corevalidation "github.com/coracle-k8s/coracle/apis/core/validation"
)

// families defaults the IP families: the range of ClusterIPs has one. Only a
// headless Service whose endpoints are the user's affair may have both.
func (t *transaction) families(s, old *corev1.Service) error {
	if !hasAddress(s) || old != nil && prefersAsBefore(s, old) {
		return nil
	}
	manual := headless(s) && len(s.Spec.Selector) == 0
	if s.Spec.IPFamilyPolicy == nil {
		s.Spec.IPFamilyPolicy = defaultPolicy(old, manual)
	}
	if errs := corevalidation.ValidateServiceAddresses(s, old); len(errs) > 0 {
		return invalid(s, errs...)
	}
	if errs := t.policyFits(s, old); len(errs) > 0 {
		return invalid(s, errs...)
	}
	if manual {
		t.manualFamilies(s)
		return nil
	}
	var errs field.ErrorList
	if *s.Spec.IPFamilyPolicy == corev1.IPFamilyPolicyRequireDualStack {
		errs = append(errs, field.Invalid(policyPath(), s.Spec.IPFamilyPolicy, "this cluster is not configured for dual-stack services"))
	}
	for i, family := range s.Spec.IPFamilies {
		if family != t.a.family() {
			errs = append(errs, field.Invalid(field.NewPath("spec", "ipFamilies").Index(i), family, "not configured on this cluster"))
		}
	}
	if len(errs) > 0 {
		return invalid(s, errs...)
	}
	if len(s.Spec.IPFamilies) == 0 {
		s.Spec.IPFamilies = []corev1.IPFamily{t.a.family()}
	}
	return nil
}

func policyPath() *field.Path { return field.NewPath("spec", "ipFamilyPolicy") }

// prefersAsBefore reports whether s is the dual-stack Service, if it can be, that
// it was: clusters that change do not change it.
func prefersAsBefore(s, old *corev1.Service) bool {
	prefers := func(p *corev1.IPFamilyPolicy, otherwise bool) bool {
		return p == nil && otherwise || p != nil && *p == corev1.IPFamilyPolicyPreferDualStack
	}
	return s.Spec.Type == old.Spec.Type && prefers(s.Spec.IPFamilyPolicy, false) && prefers(old.Spec.IPFamilyPolicy, true) &&
		slices.Equal(s.Spec.ClusterIPs, old.Spec.ClusterIPs) && slices.Equal(s.Spec.IPFamilies, old.Spec.IPFamilies)
}

func defaultPolicy(old *corev1.Service, manual bool) *corev1.IPFamilyPolicy {
	switch {
	case old != nil && old.Spec.IPFamilyPolicy != nil:
		return ptr.To(*old.Spec.IPFamilyPolicy)
	case manual:
		return ptr.To(corev1.IPFamilyPolicyRequireDualStack)
	}
	return ptr.To(corev1.IPFamilyPolicySingleStack)
}

// policyFits validates that addresses and families are as many as the policy has, and
// completes the families by the addresses. An update to a single stack alone
// takes away the second.
func (t *transaction) policyFits(s, old *corev1.Service) field.ErrorList {
	var errs field.ErrorList
	refuse := func(why string, when bool) {
		if when {
			errs = append(errs, field.Invalid(policyPath(), s.Spec.IPFamilyPolicy, why))
		}
	}
	single := *s.Spec.IPFamilyPolicy == corev1.IPFamilyPolicySingleStack
	switch {
	case old == nil:
	case single:
		if slices.Equal(s.Spec.ClusterIPs, old.Spec.ClusterIPs) && len(s.Spec.ClusterIPs) > 1 {
			s.Spec.ClusterIPs = s.Spec.ClusterIPs[:1]
		}
		if slices.Equal(s.Spec.IPFamilies, old.Spec.IPFamilies) && len(s.Spec.IPFamilies) > 1 {
			s.Spec.IPFamilies = s.Spec.IPFamilies[:1]
		}
	default:
		fewer := func(now, was int) bool { return now > 0 && now < was }
		refuse("must be 'SingleStack' to release the secondary cluster IP", fewer(len(s.Spec.ClusterIPs), len(old.Spec.ClusterIPs)))
		refuse("must be 'SingleStack' to release the secondary IP family", fewer(len(s.Spec.IPFamilies), len(old.Spec.IPFamilies)))
	}
	refuse("must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified", single && len(s.Spec.ClusterIPs) == 2)
	refuse("must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified", single && len(s.Spec.IPFamilies) == 2)
	for i, ip := range s.Spec.ClusterIPs {
		if ip == corev1.ClusterIPNone {
			break
		}
		family := corev1.IPv4Protocol
		if netutils.IsIPv6String(ip) {
			family = corev1.IPv6Protocol
		}
		switch {
		case i < len(s.Spec.IPFamilies):
		case family != t.a.family():
			errs = append(errs, field.Invalid(field.NewPath("spec", "clusterIPs").Index(i), s.Spec.ClusterIPs, fmt.Sprintf("%s is not configured on this cluster", family)))
		default:
			s.Spec.IPFamilies = append(s.Spec.IPFamilies, family)
		}
	}
	return errs
}

// manualFamilies sets both families, unless the policy is for one: the cluster's
// range does not matter.
func (t *transaction) manualFamilies(s *corev1.Service) {
	if len(s.Spec.IPFamilies) == 0 {
		s.Spec.IPFamilies = []corev1.IPFamily{t.a.family()}
	}
	if *s.Spec.IPFamilyPolicy == corev1.IPFamilyPolicySingleStack || len(s.Spec.IPFamilies) > 1 {
		return
	}
	other := corev1.IPv6Protocol
	if s.Spec.IPFamilies[0] == corev1.IPv6Protocol {
		other = corev1.IPv4Protocol
	}
	s.Spec.IPFamilies = append(s.Spec.IPFamilies, other)
}
