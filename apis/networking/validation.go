package networking

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/coracle-k8s/coracle/apis/hub"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

var (
	metaPath = field.NewPath("metadata")
	specPath = field.NewPath("spec")
)

func validateMeta(m *metav1.ObjectMeta, namespaced bool) field.ErrorList {
	return validation.ValidateObjectMeta(m, namespaced, validation.NameIsDNSSubdomain, metaPath)
}

func validateMetaUpdate(m, old *metav1.ObjectMeta) field.ErrorList {
	return validation.ValidateObjectMetaUpdate(m, old, metaPath)
}

// segment validates a required name that becomes part of a URL.
func segment(path *field.Path, value string) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return check.Invalid(path, value, content.IsPathSegmentName(value))
}

// ipName accepts addresses in their canonical form only, so that each has one
// name.
func ipName(name string, _ bool) []string {
	var msgs []string
	for _, err := range utilvalidation.IsValidIP(&field.Path{}, name) {
		msgs = append(msgs, err.Detail)
	}
	return msgs
}

// ValidateIPAddress validates a new IPAddress: its name is the address.
func ValidateIPAddress(ip *networkingv1.IPAddress) field.ErrorList {
	return append(validateIPAddress(ip), declaredParent(ip.Spec.ParentRef)...)
}

// declaredParent validates the rules that upstream declares beside the type:
// their errors come after all others.
func declaredParent(ref *networkingv1.ParentReference) field.ErrorList {
	path := specPath.Child("parentRef")
	if ref == nil {
		return field.ErrorList{field.Required(path, "")}
	}
	var errs field.ErrorList
	if ref.Resource == "" {
		errs = append(errs, field.Required(path.Child("resource"), ""))
	}
	if ref.Name == "" {
		errs = append(errs, field.Required(path.Child("name"), ""))
	}
	return errs
}

func validateIPAddress(ip *networkingv1.IPAddress) field.ErrorList {
	errs := validation.ValidateObjectMeta(&ip.ObjectMeta, false, ipName, metaPath)
	path, ref := specPath.Child("parentRef"), ip.Spec.ParentRef
	if ref == nil {
		return errs
	}
	if ref.Group != "" { // Services are of the group ""
		errs = append(errs, check.Invalid(path.Child("group"), ref.Group, utilvalidation.IsDNS1123Subdomain(ref.Group))...)
	}
	errs = append(errs, check.Invalid(path.Child("resource"), ref.Resource, content.IsPathSegmentName(ref.Resource))...)
	errs = append(errs, check.Invalid(path.Child("name"), ref.Name, content.IsPathSegmentName(ref.Name))...)
	return append(errs, check.Invalid(path.Child("namespace"), ref.Namespace, content.IsPathSegmentName(ref.Namespace))...)
}

// ValidateIPAddressUpdate validates a changed IPAddress: it keeps its parent.
func ValidateIPAddressUpdate(ip, old *networkingv1.IPAddress) field.ErrorList {
	errs := append(validateIPAddress(ip), validateMetaUpdate(&ip.ObjectMeta, &old.ObjectMeta)...)
	errs = append(errs, declaredParent(ip.Spec.ParentRef)...)
	if !equality.Semantic.DeepEqual(ip.Spec.ParentRef, old.Spec.ParentRef) {
		errs = append(errs, field.Invalid(specPath.Child("parentRef"), nil, validation.FieldImmutableErrorMsg))
	}
	return errs
}

// ValidateServiceCIDR validates a new ServiceCIDR.
func ValidateServiceCIDR(c *networkingv1.ServiceCIDR) field.ErrorList {
	return append(validateMeta(&c.ObjectMeta, false), validateCIDRs(&c.Spec)...)
}

func validateCIDRs(s *networkingv1.ServiceCIDRSpec) field.ErrorList {
	path := specPath.Child("cidrs")
	switch {
	case len(s.CIDRs) == 0:
		return field.ErrorList{field.Required(path, "at least one CIDR required")}
	case len(s.CIDRs) > 2:
		return field.ErrorList{field.Invalid(path, hub.Internal(s), "may only hold up to 2 values")}
	}
	var errs field.ErrorList
	for i, cidr := range s.CIDRs {
		errs = append(errs, utilvalidation.IsValidCIDR(path.Index(i), cidr)...)
	}
	if len(s.CIDRs) == 2 {
		a, b := netutils.IPFamilyOfCIDRString(s.CIDRs[0]), netutils.IPFamilyOfCIDRString(s.CIDRs[1])
		if a == b && a != netutils.IPFamilyUnknown {
			errs = append(errs, field.Invalid(path, s.CIDRs, "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"))
		}
	}
	return errs
}

// ValidateServiceCIDRUpdate validates a changed ServiceCIDR: it may get a
// second IP family and nothing else.
func ValidateServiceCIDRUpdate(c, old *networkingv1.ServiceCIDR) field.ErrorList {
	errs := validateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta)
	path, now, was := specPath.Child("cidrs"), c.Spec.CIDRs, old.Spec.CIDRs
	switch {
	case len(now) == len(was):
		for i := range now {
			if now[i] != was[i] {
				errs = append(errs, field.Invalid(path.Index(i), now[i], validation.FieldImmutableErrorMsg))
			}
		}
	case len(was) == 1 && len(now) == 2:
		if now[0] != was[0] {
			errs = append(errs, field.Invalid(path.Index(0), now[0], validation.FieldImmutableErrorMsg))
		}
		errs = append(errs, validateCIDRs(&c.Spec)...)
	default:
		errs = append(errs, field.Invalid(path, now, validation.FieldImmutableErrorMsg))
	}
	return errs
}

// ValidateServiceCIDRStatusUpdate validates the subresource status.
func ValidateServiceCIDRStatusUpdate(c, old *networkingv1.ServiceCIDR) field.ErrorList {
	return validateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta)
}
