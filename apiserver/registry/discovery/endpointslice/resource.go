// Package endpointslice serves discovery.k8s.io/v1 EndpointSlices.
//
// The API of this package is not stable: see docs/api.md.
package endpointslice

import (
	"context"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/discovery"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*discoveryv1.EndpointSlice]{
		GVK:              discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice"),
		Plural:           "endpointslices",
		New:              func() *discoveryv1.EndpointSlice { return &discoveryv1.EndpointSlice{} },
		NewList:          func() runtime.Object { return &discoveryv1.EndpointSliceList{} },
		PrepareForCreate: prepareForCreate,
		PrepareForUpdate: prepareForUpdate,
		Validate:         registry.Pure(discovery.ValidateEndpointSlice),
		ValidateUpdate:   registry.PureUpdate(discovery.ValidateEndpointSliceUpdate),
		Warnings:         warnings,
		Table: &registry.Table[*discoveryv1.EndpointSlice]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.Column("AddressType"), registry.Column("Ports"), registry.Column("Endpoints"), registry.Column("Age"),
			},
			Cells: func(s *discoveryv1.EndpointSlice, now time.Time) []any {
				return []any{s.Name, string(s.AddressType), ports(s.Ports), addresses(s.Endpoints), registry.Age(s.CreationTimestamp, now)}
			},
		},
	}.Resource()
}

func prepareForCreate(_ context.Context, s *discoveryv1.EndpointSlice) {
	s.Generation = 1
	dropTopology(s, nil)
}

// prepareForUpdate counts the generation up for everything but metadata, of which
// only labels count.
func prepareForUpdate(_ context.Context, s, old *discoveryv1.EndpointSlice) {
	s.Generation = old.Generation
	now, was := s.DeepCopy(), old.DeepCopy()
	now.ObjectMeta, was.ObjectMeta = metav1.ObjectMeta{Labels: s.Labels}, metav1.ObjectMeta{Labels: old.Labels}
	if !equality.Semantic.DeepEqual(now, was) {
		s.Generation++
	}
	dropTopology(s, old)
}

// dropTopology clears the field of discovery/v1beta1 that nothing writes any more,
// unless the endpoints are those that are stored. A client of old that named its
// nodes there gets them where they belong, if the stored slice named them there too.
func dropTopology(s, old *discoveryv1.EndpointSlice) {
	if old != nil && equality.Semantic.DeepEqual(old.Endpoints, s.Endpoints) {
		return
	}
	stored := map[string]bool{}
	if old != nil {
		for _, e := range old.Endpoints {
			stored[e.DeprecatedTopology[corev1.LabelHostname]] = true
		}
	}
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		host := e.DeprecatedTopology[corev1.LabelHostname]
		if e.NodeName == nil && host != "" && stored[host] && len(validation.NameIsDNSSubdomain(host, false)) == 0 {
			e.NodeName = &host
		}
		e.DeprecatedTopology = nil
	}
}

func warnings(_ context.Context, s, old *discoveryv1.EndpointSlice) []string {
	var list []string
	if old == nil && s.AddressType == discoveryv1.AddressTypeFQDN {
		list = append(list, "spec.addressType: FQDN endpoints are deprecated") // so upstream calls the field
	}
	switch s.Labels[discoveryv1.LabelManagedBy] {
	case "endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io":
		return list
	}
	for i, e := range s.Endpoints {
		for j, address := range e.Addresses {
			list = append(list, utilvalidation.GetWarningsForIP(field.NewPath("endpoints").Index(i).Child("addresses").Index(j), address)...)
		}
	}
	return list
}

func ports(ports []discoveryv1.EndpointPort) string {
	list := make([]string, len(ports))
	for i, p := range ports {
		switch {
		case p.Port != nil:
			list[i] = strconv.Itoa(int(*p.Port))
		case p.Name != nil:
			list[i] = *p.Name
		default:
			list[i] = "*"
		}
	}
	return registry.FirstOf(list, "<unset>")
}

func addresses(endpoints []discoveryv1.Endpoint) string {
	var list []string
	for _, e := range endpoints {
		list = append(list, e.Addresses...)
	}
	return registry.FirstOf(list, "<unset>")
}
