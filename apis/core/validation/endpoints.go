package validation

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/validation/container"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// ValidateEndpoints validates a new Endpoints object.
func ValidateEndpoints(e *corev1.Endpoints) field.ErrorList {
	errs := check.ObjectMeta(&e.ObjectMeta, true, apivalidation.NameIsDNSSubdomain)
	return append(errs, subsets(e)...)
}

// ValidateEndpointsUpdate validates an update of an Endpoints object. Subsets
// that stay as they are may be wrong.
func ValidateEndpointsUpdate(e, old *corev1.Endpoints) field.ErrorList {
	errs := check.ObjectMetaUpdate(&e.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, check.ObjectMeta(&e.ObjectMeta, true, apivalidation.NameIsDNSSubdomain)...)
	if !equality.Semantic.DeepEqual(e.Subsets, old.Subsets) {
		errs = append(errs, subsets(e)...)
	}
	return errs
}

func subsets(e *corev1.Endpoints) field.ErrorList {
	var errs field.ErrorList
	for i := range e.Subsets {
		s, at := &e.Subsets[i], field.NewPath("subsets").Index(i)
		if len(s.Addresses)+len(s.NotReadyAddresses) == 0 {
			errs = append(errs, field.Required(at, "must specify `addresses` or `notReadyAddresses`"))
		}
		for j := range s.Addresses {
			errs = append(errs, endpointAddress(at.Child("addresses").Index(j), &s.Addresses[j])...)
		}
		for j := range s.NotReadyAddresses {
			errs = append(errs, endpointAddress(at.Child("notReadyAddresses").Index(j), &s.NotReadyAddresses[j])...)
		}
		for j := range s.Ports {
			errs = append(errs, endpointPort(at.Child("ports").Index(j), &s.Ports[j], len(s.Ports) > 1)...)
		}
	}
	return errs
}

func endpointAddress(fldPath *field.Path, a *corev1.EndpointAddress) field.ErrorList {
	errs := validation.IsValidIPForLegacyField(fldPath.Child("ip"), a.IP, true, nil)
	if a.Hostname != "" {
		errs = append(errs, check.Invalid(fldPath.Child("hostname"), a.Hostname, validation.IsDNS1123Label(a.Hostname))...)
	}
	if a.NodeName != nil {
		errs = append(errs, check.Invalid(fldPath.Child("nodeName"), *a.NodeName, check.IsSubdomain(*a.NodeName))...)
	}
	return append(errs, notSpecialIP(fldPath.Child("ip"), a.IP)...)
}

func endpointPort(fldPath *field.Path, p *corev1.EndpointPort, many bool) field.ErrorList {
	var errs field.ErrorList
	if many && p.Name == "" {
		errs = append(errs, field.Required(fldPath.Child("name"), ""))
	} else if p.Name != "" {
		errs = append(errs, check.Invalid(fldPath.Child("name"), p.Name, validation.IsDNS1123Label(p.Name))...)
	}
	errs = append(errs, check.Invalid(fldPath.Child("port"), p.Port, validation.IsValidPortNum(int(p.Port)))...)
	errs = append(errs, container.PortProtocol(fldPath.Child("protocol"), p.Protocol)...)
	if p.AppProtocol != nil {
		errs = append(errs, check.Invalid(fldPath.Child("appProtocol"), *p.AppProtocol, validation.IsQualifiedName(*p.AppProtocol))...)
	}
	return errs
}
