// Package endpointslice serves discovery.k8s.io/v1 EndpointSlices.
package endpointslice

import (
	"context"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

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
	dropTopology(s)
}

// prepareForUpdate counts the generation up when anything but metadata changed;
// labels count too, because they say which Service the slice belongs to.
func prepareForUpdate(_ context.Context, s, old *discoveryv1.EndpointSlice) {
	dropTopology(s)
	s.Generation = old.Generation
	now, was := s.DeepCopy(), old.DeepCopy()
	now.ObjectMeta, was.ObjectMeta = metav1.ObjectMeta{Labels: s.Labels}, metav1.ObjectMeta{Labels: old.Labels}
	if !equality.Semantic.DeepEqual(now, was) {
		s.Generation++
	}
}

// dropTopology moves the v1beta1 way of naming the zone to where v1 has it.
func dropTopology(s *discoveryv1.EndpointSlice) {
	for i := range s.Endpoints {
		delete(s.Endpoints[i].DeprecatedTopology, corev1.LabelTopologyZone)
		if host, ok := s.Endpoints[i].DeprecatedTopology[corev1.LabelHostname]; ok {
			delete(s.Endpoints[i].DeprecatedTopology, corev1.LabelHostname)
			if s.Endpoints[i].NodeName == nil {
				s.Endpoints[i].NodeName = &host
			}
		}
	}
}

func warnings(_ context.Context, s, _ *discoveryv1.EndpointSlice) []string {
	if s.AddressType == discoveryv1.AddressTypeFQDN {
		return []string{"addressType: FQDN endpoints are deprecated"}
	}
	return nil
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
