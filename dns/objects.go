package dns

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// objects are Records that are read from a cache.
type objects struct{ reader client.Reader }

// FromCache returns the Records of a cache of Services and EndpointSlices.
func FromCache(reader client.Reader) Records { return objects{reader} }

// Service implements Records.
func (o objects) Service(namespace, name string) (*corev1.Service, error) {
	svc := &corev1.Service{}
	err := o.reader.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: name}, svc, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading service %s/%s: %w", namespace, name, err)
	}
	return svc, nil
}

// Slices implements Records.
func (o objects) Slices(namespace, service string) ([]discoveryv1.EndpointSlice, error) {
	return o.slices(client.InNamespace(namespace), client.MatchingLabels{discoveryv1.LabelServiceName: service})
}

func (o objects) slices(opts ...client.ListOption) ([]discoveryv1.EndpointSlice, error) {
	list := &discoveryv1.EndpointSliceList{}
	if err := o.reader.List(context.Background(), list, append(opts, client.UnsafeDisableDeepCopy)...); err != nil {
		return nil, fmt.Errorf("listing endpoint slices: %w", err)
	}
	return list.Items, nil
}

func (o objects) services(opts ...client.ListOption) ([]corev1.Service, error) {
	list := &corev1.ServiceList{}
	if err := o.reader.List(context.Background(), list, append(opts, client.UnsafeDisableDeepCopy)...); err != nil {
		return nil, fmt.Errorf("listing services: %w", err)
	}
	return list.Items, nil
}

// HasNamespace implements Records.
func (o objects) HasNamespace(name string) (bool, error) {
	list, err := o.services(client.InNamespace(name), client.Limit(1))
	return len(list) > 0, err
}

// ServiceOf implements Records. Pointers are asked for seldom, so that a look
// through the list is cheaper than an index in every node's memory.
func (o objects) ServiceOf(address netip.Addr) (*corev1.Service, error) {
	list, err := o.services()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(svc corev1.Service) bool { return slices.Contains(svc.Spec.ClusterIPs, address.String()) })
	if i < 0 {
		return nil, nil
	}
	return &list[i], nil
}

// HeadlessSlicesOf implements Records.
func (o objects) HeadlessSlicesOf(address netip.Addr) ([]discoveryv1.EndpointSlice, error) {
	list, err := o.slices(client.HasLabels{corev1.IsHeadlessService})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(s discoveryv1.EndpointSlice) bool {
		return !slices.ContainsFunc(s.Endpoints, func(e discoveryv1.Endpoint) bool { return slices.Contains(e.Addresses, address.String()) })
	}), nil
}
