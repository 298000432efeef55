package discovery

import (
	"errors"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Limits of one EndpointSlice; https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoint-slice-v1/.
const (
	maxEndpoints      = 1000
	maxAddresses      = 100
	maxPorts          = 20000
	maxTopologyLabels = 16
	maxHints          = 8
)

// ValidateEndpointSlice validates a new EndpointSlice.
func ValidateEndpointSlice(slice *discoveryv1.EndpointSlice) field.ErrorList {
	return validateSlice(slice, nil)
}

// declared validates the rules that upstream declares beside the types: their
// errors come after all others and have no hints.
func declared(slice, old *discoveryv1.EndpointSlice) field.ErrorList {
	var errs field.ErrorList
	path, known := field.NewPath("addressType"), []discoveryv1.AddressType{discoveryv1.AddressTypeFQDN, discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6}
	changed := old != nil && slice.AddressType != old.AddressType
	switch t := slice.AddressType; {
	case t == "":
		errs = append(errs, field.Required(path, ""))
	case !sets.New(known...).Has(t):
		errs = append(errs, field.NotSupported(path, t, known))
	}
	if changed {
		errs = append(errs, field.Invalid(path, nil, validation.FieldImmutableErrorMsg))
	}
	if old != nil && equality.Semantic.DeepEqual(slice.Endpoints, old.Endpoints) {
		return errs
	}
	for i := range slice.Endpoints {
		addresses := field.NewPath("endpoints").Index(i).Child("addresses")
		switch n := len(slice.Endpoints[i].Addresses); {
		case n == 0:
			errs = append(errs, field.Required(addresses, ""))
		case n > maxAddresses:
			errs = append(errs, field.TooMany(addresses, n, maxAddresses))
		}
	}
	return errs
}

// ValidateEndpointSliceUpdate validates a changed EndpointSlice. Unchanged
// endpoints are not validated again: they were valid when they were stored.
func ValidateEndpointSliceUpdate(slice, old *discoveryv1.EndpointSlice) field.ErrorList {
	return validateSlice(slice, old)
}

func validateSlice(slice, old *discoveryv1.EndpointSlice) field.ErrorList {
	errs := validation.ValidateObjectMeta(&slice.ObjectMeta, true, validation.NameIsDNSSubdomain, field.NewPath("metadata"))
	errs = append(errs, validatePorts(slice.Ports, field.NewPath("ports"))...)
	if old == nil || !equality.Semantic.DeepEqual(slice.Endpoints, old.Endpoints) {
		errs = append(errs, validateEndpoints(slice, field.NewPath("endpoints"))...)
	}
	return append(errs, declared(slice, old)...)
}

func validateEndpoints(slice *discoveryv1.EndpointSlice, path *field.Path) field.ErrorList {
	if len(slice.Endpoints) > maxEndpoints {
		return field.ErrorList{field.TooMany(path, len(slice.Endpoints), maxEndpoints)}
	}
	var errs field.ErrorList
	for i := range slice.Endpoints {
		errs = append(errs, validateEndpoint(&slice.Endpoints[i], slice.AddressType, path.Index(i))...)
	}
	return errs
}

func validateEndpoint(e *discoveryv1.Endpoint, t discoveryv1.AddressType, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, address := range e.Addresses {
		errs = append(errs, validateAddress(address, t, path.Child("addresses"), i)...)
	}
	if e.NodeName != nil {
		for _, msg := range utilvalidation.IsDNS1123Subdomain(*e.NodeName) {
			errs = append(errs, field.Invalid(path.Child("nodeName"), *e.NodeName, msg))
		}
	}
	topology := path.Child("deprecatedTopology")
	if len(e.DeprecatedTopology) > maxTopologyLabels {
		errs = append(errs, field.TooMany(topology, len(e.DeprecatedTopology), maxTopologyLabels))
	}
	errs = append(errs, metav1validation.ValidateLabels(e.DeprecatedTopology, topology)...)
	if _, ok := e.DeprecatedTopology[corev1.LabelTopologyZone]; ok {
		errs = append(errs, field.InternalError(topology.Key(corev1.LabelTopologyZone), errors.New("reserved key was not removed in conversion")))
	}
	if e.Hostname != nil {
		for _, msg := range utilvalidation.IsDNS1123Label(*e.Hostname) {
			errs = append(errs, field.Invalid(path.Child("hostname"), *e.Hostname, msg))
		}
	}
	if e.Hints != nil {
		errs = append(errs, validateHints(e.Hints, path.Child("hints"))...)
	}
	return errs
}

// validateAddress validates the address of an endpoint by its type. An address of
// the other family is an error of the list, as upstream's.
func validateAddress(address string, t discoveryv1.AddressType, list *field.Path, i int) field.ErrorList {
	path := list.Index(i)
	var errs field.ErrorList
	var is func(netip.Addr) bool
	family := ""
	switch t {
	case discoveryv1.AddressTypeIPv4:
		errs = utilvalidation.IsValidIPForLegacyField(path, address, true, nil)
		is, family = netip.Addr.Is4, "IPv4"
	case discoveryv1.AddressTypeIPv6:
		errs = utilvalidation.IsValidIP(path, address)
		is, family = netip.Addr.Is6, "IPv6"
	case discoveryv1.AddressTypeFQDN:
		return utilvalidation.IsFullyQualifiedDomainName(path, address)
	default:
		return nil
	}
	if len(errs) > 0 {
		return errs
	}
	if ip, err := netip.ParseAddr(address); err == nil && !is(ip) {
		errs = append(errs, field.Invalid(list, address, "must be an "+family+" address"))
	}
	return append(errs, validateNonSpecialIP(address, path)...)
}

// validateNonSpecialIP keeps a slice from pointing at the nodes' own addresses.
func validateNonSpecialIP(address string, path *field.Path) field.ErrorList {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return nil
	}
	switch {
	case ip.IsUnspecified():
		return field.ErrorList{field.Invalid(path, address, fmt.Sprintf("may not be unspecified (%v)", address))}
	case ip.IsLoopback():
		return field.ErrorList{field.Invalid(path, address, "may not be in the loopback range (127.0.0.0/8, ::1/128)")}
	case ip.IsLinkLocalUnicast():
		return field.ErrorList{field.Invalid(path, address, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")}
	case ip.IsLinkLocalMulticast():
		return field.ErrorList{field.Invalid(path, address, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")}
	}
	return nil
}

func validateHints(hints *discoveryv1.EndpointHints, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	zones := path.Child("forZones")
	if len(hints.ForZones) > maxHints {
		return append(errs, field.TooMany(zones, len(hints.ForZones), maxHints))
	}
	seen := sets.New[string]()
	for i, z := range hints.ForZones {
		if seen.Has(z.Name) {
			errs = append(errs, field.Duplicate(zones.Index(i).Child("name"), z.Name))
		}
		seen.Insert(z.Name)
		for _, msg := range utilvalidation.IsValidLabelValue(z.Name) {
			errs = append(errs, field.Invalid(zones.Index(i).Child("name"), z.Name, msg))
		}
	}
	nodes := path.Child("forNodes")
	if len(hints.ForNodes) > maxHints {
		return append(errs, field.TooMany(nodes, len(hints.ForNodes), maxHints))
	}
	seen = sets.New[string]()
	for i, n := range hints.ForNodes {
		if seen.Has(n.Name) {
			errs = append(errs, field.Duplicate(nodes.Index(i).Child("name"), n.Name))
		}
		seen.Insert(n.Name)
		for _, msg := range utilvalidation.IsDNS1123Subdomain(n.Name) {
			errs = append(errs, field.Invalid(nodes.Index(i).Child("name"), n.Name, msg))
		}
	}
	return errs
}

// validatePorts leaves the numbers alone, as upstream does: any is stored.
func validatePorts(ports []discoveryv1.EndpointPort, path *field.Path) field.ErrorList {
	if len(ports) > maxPorts {
		return field.ErrorList{field.TooMany(path, len(ports), maxPorts)}
	}
	var errs field.ErrorList
	names := sets.New[string]()
	for i, p := range ports {
		at := path.Index(i)
		if p.Name == nil {
			errs = append(errs, field.Required(at.Child("name"), ""))
		} else {
			for _, msg := range portName(*p.Name) {
				errs = append(errs, field.Invalid(at.Child("name"), *p.Name, msg))
			}
			if names.Has(*p.Name) {
				errs = append(errs, field.Duplicate(at.Child("name"), *p.Name))
			}
			names.Insert(*p.Name)
		}
		known := []corev1.Protocol{corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP}
		if p.Protocol == nil {
			errs = append(errs, field.Required(at.Child("protocol"), ""))
		} else if !sets.New(known...).Has(*p.Protocol) {
			errs = append(errs, field.NotSupported(at.Child("protocol"), *p.Protocol, known))
		}
		if p.AppProtocol != nil {
			for _, msg := range utilvalidation.IsQualifiedName(*p.AppProtocol) {
				errs = append(errs, field.Invalid(at.Child("appProtocol"), *p.AppProtocol, msg))
			}
		}
	}
	return errs
}

func portName(name string) []string {
	if name == "" {
		return nil
	}
	return utilvalidation.IsDNS1123Label(name)
}
