// Package bootstrap creates the objects every Kubernetes cluster has: the
// system namespaces and the Service by which pods find the API server.
//
// The API of this package is not stable: see docs/api.md.
package bootstrap

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/coracle-k8s/coracle/apiserver/peers"
)

// Namespaces returns the namespaces that every cluster has.
func Namespaces() []string {
	return []string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic, corev1.NamespaceNodeLease}
}

// Config holds the addresses at which pods find the API server.
type Config struct {
	// ServiceIP is the ClusterIP of the Service kubernetes, the first of the range.
	ServiceIP netip.Addr
	// Advertise is the address on the pod network of a server that is the only
	// one; when it is not valid the Service's endpoints stay as they are.
	Advertise netip.AddrPort
	// Authentication holds what aggregated API servers need to authenticate this
	// server's requests, under upstream's keys. Nothing is published when it is empty.
	Authentication map[string]string
}

// Run creates what is missing and corrects the endpoints. It can be repeated.
func Run(ctx context.Context, config *rest.Config, c Config) error {
	core, err := coreclient.NewForConfig(config)
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
	return peers.Publish(ctx, config, c.Advertise)
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
	_, err := services.Get(ctx, peers.ServiceName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = services.Create(ctx, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: peers.ServiceName, Labels: map[string]string{"provider": "kubernetes", "component": "apiserver"}},
			Spec: corev1.ServiceSpec{
				ClusterIP: ip.String(), SessionAffinity: corev1.ServiceAffinityNone, Type: corev1.ServiceTypeClusterIP,
				Ports: []corev1.ServicePort{{Name: "https", Port: 443, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(6443)}},
			},
		}, metav1.CreateOptions{})
	}
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating the Service %s: %w", peers.ServiceName, err)
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
