// Package discovery installs, defaults and validates the discovery.k8s.io group.
//
// The API of this package is not stable: see docs/api.md.
package discovery

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers discovery.k8s.io/v1, its hub and its defaults in s.
func Install(s *runtime.Scheme) error {
	if err := discoveryv1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", discoveryv1.SchemeGroupVersion, err)
	}
	s.AddTypeDefaultingFunc(&discoveryv1.EndpointSlice{}, func(obj any) { SetDefaultsEndpointSlice(obj.(*discoveryv1.EndpointSlice)) })
	s.AddTypeDefaultingFunc(&discoveryv1.EndpointSliceList{}, func(obj any) {
		list := obj.(*discoveryv1.EndpointSliceList)
		for i := range list.Items {
			SetDefaultsEndpointSlice(&list.Items[i])
		}
	})
	return hub.Add(s, discoveryv1.SchemeGroupVersion)
}

// SetDefaultsEndpointSlice sets the names of ports to "" and their protocols to TCP
// where they are missing.
func SetDefaultsEndpointSlice(slice *discoveryv1.EndpointSlice) {
	for i := range slice.Ports {
		port := &slice.Ports[i]
		if port.Name == nil {
			port.Name = ptr.To("")
		}
		if port.Protocol == nil {
			port.Protocol = ptr.To(corev1.ProtocolTCP)
		}
	}
}
