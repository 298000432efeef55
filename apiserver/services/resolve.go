package services

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// candidates returns the addresses (host:port) at which a Service's port
// answers, in no order. self is the server's own address, taken for
// default/kubernetes when nothing else is known.
//
// Upstream's kube-apiserver with --enable-aggregator-routing does the same,
// but for not ready endpoints and ExternalName, which it refuses and takes
// respectively without that flag.
func candidates(svc *corev1.Service, port int32, endpoints []*discoveryv1.EndpointSlice, self string) ([]string, error) {
	if svc.Spec.Type == corev1.ServiceTypeExternalName {
		return []string{net.JoinHostPort(svc.Spec.ExternalName, strconv.Itoa(int(port)))}, nil
	}
	i := slices.IndexFunc(svc.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == port })
	if i < 0 {
		return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("no service port %d found for service %q", port, svc.Name))
	}
	addresses := addresses(svc, svc.Spec.Ports[i].Name, endpoints)
	if len(addresses) == 0 && svc.Namespace == "default" && svc.Name == "kubernetes" && self != "" {
		return []string{self}, nil
	}
	if len(addresses) == 0 {
		return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("no endpoints available for service %q", svc.Name))
	}
	return addresses, nil
}

// addresses returns the addresses of the ready endpoints of a port: of the
// Service's first family if there are any, else of the other.
func addresses(svc *corev1.Service, port string, endpoints []*discoveryv1.EndpointSlice) []string {
	var preferred, others []string
	for _, slice := range endpoints {
		found := ready(slice, port)
		if len(svc.Spec.IPFamilies) == 0 || slice.AddressType == discoveryv1.AddressType(svc.Spec.IPFamilies[0]) {
			preferred = append(preferred, found...)
		} else {
			others = append(others, found...)
		}
	}
	if len(preferred) > 0 {
		return preferred
	}
	return others
}

func ready(slice *discoveryv1.EndpointSlice, port string) []string {
	var found []string
	for _, p := range slice.Ports {
		if p.Port == nil || p.Name == nil && port != "" || p.Name != nil && *p.Name != port {
			continue
		}
		for _, e := range slice.Endpoints {
			if len(e.Addresses) > 0 && (e.Conditions.Ready == nil || *e.Conditions.Ready) {
				found = append(found, net.JoinHostPort(e.Addresses[0], strconv.Itoa(int(*p.Port))))
			}
		}
	}
	return found
}

// pick makes a URL of one of the addresses.
func pick(addresses []string) *url.URL {
	return &url.URL{Scheme: "https", Host: addresses[rand.IntN(len(addresses))]} //nolint:gosec // spreads load
}
