package service

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/coracle-k8s/coracle/apis/networking"
)

// objects is the book in networking.k8s.io: an IPAddress per ClusterIP, and
// ServiceCIDRs. Their storages are opened when they are asked for first.
// https://kubernetes.io/docs/reference/networking/virtual-ips/#ip-address-objects
type objects struct {
	store func(schema.GroupResource) (*genericregistry.Store, error)
	// base is the configured range, whose family the others must share.
	base netip.Prefix
}

var _ book = objects{}

func (o objects) open(ctx context.Context, resource string) (*genericregistry.Store, context.Context, error) {
	store, err := o.store(schema.GroupResource{Group: networkingv1.GroupName, Resource: resource})
	return store, request.WithNamespace(ctx, metav1.NamespaceNone), err
}

func (o objects) claim(ctx context.Context, ip netip.Addr, svc *corev1.Service) error {
	store, ctx, err := o.open(ctx, "ipaddresses")
	if err != nil {
		return err
	}
	_, err = store.Create(ctx, networking.AddressOf(svc, ip), rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	// An entry that a crash left of the same Service is its own.
	found, err := store.Get(ctx, ip.String(), &metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return errAllocated
	}
	if err != nil {
		return fmt.Errorf("reading who has %s: %w", ip, err)
	}
	if address, ok := found.(*networkingv1.IPAddress); !ok || !networking.BelongsTo(address, svc) {
		return errAllocated
	}
	return nil
}

// errNotOurs stops the delete of an address that was given to another object.
var errNotOurs = errors.New("the address belongs to another object")

func (o objects) release(ctx context.Context, ip netip.Addr, svc *corev1.Service) error {
	store, ctx, err := o.open(ctx, "ipaddresses")
	if err != nil {
		return err
	}
	_, _, err = store.Delete(ctx, ip.String(), func(_ context.Context, obj runtime.Object) error {
		if address, ok := obj.(*networkingv1.IPAddress); !ok || !networking.BelongsTo(address, svc) {
			return errNotOurs
		}
		return nil
	}, metav1.NewDeleteOptions(0))
	if err == nil || apierrors.IsNotFound(err) || errors.Is(err, errNotOurs) {
		return nil
	}
	return fmt.Errorf("releasing %s: %w", ip, err)
}

func (o objects) ranges(ctx context.Context) ([]netip.Prefix, error) {
	store, ctx, err := o.open(ctx, "servicecidrs")
	if err != nil {
		return nil, err
	}
	found, err := store.List(ctx, &internalversion.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, fmt.Errorf("reading the ranges of cluster IPs: %w", err)
	}
	list, ok := found.(*networkingv1.ServiceCIDRList)
	if !ok {
		return nil, fmt.Errorf("reading the ranges of cluster IPs: got %T", found)
	}
	var all []netip.Prefix
	for i := range list.Items {
		if c := &list.Items[i]; networking.Ready(c) {
			for _, p := range networking.Prefixes(c) {
				if p.Addr().Is4() == o.base.Addr().Is4() && p != o.base {
					all = append(all, p)
				}
			}
		}
	}
	return all, nil
}
