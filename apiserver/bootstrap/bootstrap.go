// Package bootstrap creates the objects every Kubernetes cluster has: the
// system namespaces and the Service by which pods find the API server.
package bootstrap

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	discoveryclient "k8s.io/client-go/kubernetes/typed/discovery/v1"
	"k8s.io/client-go/rest"
)

// Namespaces every cluster has.
func Namespaces() []string {
	return []string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic, corev1.NamespaceNodeLease}
}

// serviceName is the API server's Service in the namespace default.
const serviceName = "kubernetes"

// Config says where pods find the API server.
type Config struct {
	// ServiceIP is the ClusterIP of the Service kubernetes, the first of the range.
	ServiceIP netip.Addr
	// Advertise is the server's address on the pod network; when it is not
	// valid the Service has no endpoints.
	Advertise netip.AddrPort
	// Authentication is what aggregated API servers need to know to believe
	// this one's requests, by the keys that upstream gives it; none is published
	// when it is empty.
	Authentication map[string]string
}

// Run creates what is missing and corrects the endpoints. It can be repeated.
func Run(ctx context.Context, config *rest.Config, c Config) error {
	core, err := coreclient.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	discovery, err := discoveryclient.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	for _, name := range Namespaces() {
		if err := ensureNamespace(ctx, core, name); err != nil {
			return err
		}
	}
	if err := ensureService(ctx, core, c.ServiceIP); err != nil {
		return err
	}
	if err := ensureAuthentication(ctx, core, c.Authentication); err != nil {
		return err
	}
	if !c.Advertise.IsValid() {
		return nil
	}
	if err := ensureEndpoints(ctx, core, c.Advertise); err != nil {
		return err
	}
	return ensureSlice(ctx, discovery, c.Advertise)
}

func ensureNamespace(ctx context.Context, core coreclient.CoreV1Interface, name string) error {
	_, err := core.Namespaces().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = core.Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	}
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating namespace %s: %w", name, err)
	}
	return nil
}

func ensureService(ctx context.Context, core coreclient.CoreV1Interface, ip netip.Addr) error {
	services := core.Services(metav1.NamespaceDefault)
	_, err := services.Get(ctx, serviceName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = services.Create(ctx, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: serviceName, Labels: map[string]string{"provider": "kubernetes", "component": "apiserver"}},
			Spec: corev1.ServiceSpec{
				ClusterIP: ip.String(), SessionAffinity: corev1.ServiceAffinityNone, Type: corev1.ServiceTypeClusterIP,
				Ports: []corev1.ServicePort{{Name: "https", Port: 443, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(6443)}},
			},
		}, metav1.CreateOptions{})
	}
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating the Service %s: %w", serviceName, err)
	}
	return nil
}

// authenticationName is the ConfigMap that aggregated API servers read:
// https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer
const authenticationName = "extension-apiserver-authentication"

func ensureAuthentication(ctx context.Context, core coreclient.CoreV1Interface, data map[string]string) error {
	if len(data) == 0 {
		return nil
	}
	maps := core.ConfigMaps(metav1.NamespaceSystem)
	got, err := maps.Get(ctx, authenticationName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: authenticationName}, Data: data}, metav1.CreateOptions{})
	case err == nil && !equality.Semantic.DeepEqual(got.Data, data):
		got = got.DeepCopy()
		got.Data = data
		_, err = maps.Update(ctx, got, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("publishing the ConfigMap %s: %w", authenticationName, err)
	}
	return nil
}

func ensureEndpoints(ctx context.Context, core coreclient.CoreV1Interface, at netip.AddrPort) error {
	endpoints := core.Endpoints(metav1.NamespaceDefault)
	want := &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{Name: serviceName, Labels: map[string]string{discoveryv1.LabelSkipMirror: "true"}},
		Subsets: []corev1.EndpointSubset{{
			Addresses: []corev1.EndpointAddress{{IP: at.Addr().String()}},
			Ports:     []corev1.EndpointPort{{Name: "https", Port: int32(at.Port()), Protocol: corev1.ProtocolTCP}},
		}},
	}
	got, err := endpoints.Get(ctx, serviceName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = endpoints.Create(ctx, want, metav1.CreateOptions{})
	case err == nil && !equality.Semantic.DeepEqual(got.Subsets, want.Subsets):
		got = got.DeepCopy()
		got.Subsets = want.Subsets
		_, err = endpoints.Update(ctx, got, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("publishing the endpoints of %s: %w", serviceName, err)
	}
	return nil
}

func ensureSlice(ctx context.Context, discovery discoveryclient.DiscoveryV1Interface, at netip.AddrPort) error {
	slices := discovery.EndpointSlices(metav1.NamespaceDefault)
	ready, name, protocol, port := true, "https", corev1.ProtocolTCP, int32(at.Port())
	want := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: serviceName, Labels: map[string]string{discoveryv1.LabelServiceName: serviceName}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{at.Addr().String()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
		Ports:       []discoveryv1.EndpointPort{{Name: &name, Protocol: &protocol, Port: &port}},
	}
	if at.Addr().Is6() {
		want.AddressType = discoveryv1.AddressTypeIPv6
	}
	got, err := slices.Get(ctx, serviceName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = slices.Create(ctx, want, metav1.CreateOptions{})
	case err == nil && !(equality.Semantic.DeepEqual(got.Endpoints, want.Endpoints) && equality.Semantic.DeepEqual(got.Ports, want.Ports)):
		got = got.DeepCopy()
		got.Endpoints, got.Ports = want.Endpoints, want.Ports
		_, err = slices.Update(ctx, got, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("publishing the EndpointSlice of %s: %w", serviceName, err)
	}
	return nil
}
