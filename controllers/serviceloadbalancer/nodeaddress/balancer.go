package nodeaddress

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	cloudprovider "k8s.io/cloud-provider"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/coracle-k8s/coracle/controllers/serviceloadbalancer"
)

// Config holds the dependencies of a Balancer.
type Config struct {
	// Cache reads Services, Nodes and EndpointSlices, and notifies of their changes. Required.
	Cache cache.Cache
	// Reserved are TCP ports of this machine that Services must not take.
	Reserved []netip.AddrPort
}

// Balancer gives out addresses of nodes.
type Balancer struct{ config Config }

var _ serviceloadbalancer.Follower = &Balancer{}

// New returns a Balancer. It starts nothing.
func New(c Config) *Balancer { return &Balancer{config: c} }

// GetLoadBalancer implements cloudprovider.LoadBalancer. The server empties the status
// of a Service that changes its type; the finalizer then shows that one exists.
func (b *Balancer) GetLoadBalancer(_ context.Context, _ string, svc *corev1.Service) (*corev1.LoadBalancerStatus, bool, error) {
	exists := len(svc.Status.LoadBalancer.Ingress) > 0 || controllerutil.ContainsFinalizer(svc, serviceloadbalancer.Finalizer)
	return svc.Status.LoadBalancer.DeepCopy(), exists, nil
}

// GetLoadBalancerName implements cloudprovider.LoadBalancer.
func (b *Balancer) GetLoadBalancerName(_ context.Context, _ string, svc *corev1.Service) string {
	return cloudprovider.DefaultLoadBalancerName(svc)
}

// EnsureLoadBalancer implements cloudprovider.LoadBalancer. An error is a
// *TakenError, or from reading the cache.
func (b *Balancer) EnsureLoadBalancer(ctx context.Context, _ string, svc *corev1.Service, nodes []*corev1.Node) (*corev1.LoadBalancerStatus, error) {
	share, err := b.share(ctx, svc, nodes)
	if err != nil {
		return nil, err
	}
	if share.waits != nil {
		return nil, share.waits
	}
	return &corev1.LoadBalancerStatus{Ingress: ingress(share.addresses)}, nil
}

// UpdateLoadBalancer implements cloudprovider.LoadBalancer. The nodes know by
// themselves what to answer; other addresses are Stale's business.
func (b *Balancer) UpdateLoadBalancer(context.Context, string, *corev1.Service, []*corev1.Node) error {
	return nil
}

// EnsureLoadBalancerDeleted implements cloudprovider.LoadBalancer. Nothing is
// kept of a Service but its status.
func (b *Balancer) EnsureLoadBalancerDeleted(context.Context, string, *corev1.Service) error {
	return nil
}

// Stale reports whether the status of a Service is out of date.
func (b *Balancer) Stale(ctx context.Context, svc *corev1.Service, nodes []*corev1.Node) (bool, error) {
	share, err := b.share(ctx, svc, nodes)
	if err != nil {
		return false, err
	}
	return !equality.Semantic.DeepEqual(ingress(share.addresses), svc.Status.LoadBalancer.Ingress), nil
}

// share returns the Service's part of what all Services get.
func (b *Balancer) share(ctx context.Context, svc *corev1.Service, nodes []*corev1.Node) (assignment, error) {
	o := observed{nodes: nodes, reserved: b.config.Reserved, local: map[types.NamespacedName]map[string]bool{}}
	var services corev1.ServiceList
	if err := b.config.Cache.List(ctx, &services, client.UnsafeDisableDeepCopy); err != nil {
		return assignment{}, fmt.Errorf("listing services: %w", err)
	}
	seen := false
	for i := range services.Items {
		s := &services.Items[i]
		if keyOf(s) == keyOf(svc) {
			s, seen = svc, true
		}
		if balanced(s) {
			o.services = append(o.services, s)
		}
	}
	if !seen {
		o.services = append(o.services, svc)
	}
	for _, s := range o.services {
		if !onlyLocal(s) {
			continue
		}
		var err error
		if o.local[keyOf(s)], err = b.localNodes(ctx, s); err != nil {
			return assignment{}, err
		}
	}
	return assign(o)[keyOf(svc)], nil
}

// localNodes returns the nodes with a ready endpoint of the Service.
func (b *Balancer) localNodes(ctx context.Context, svc *corev1.Service) (map[string]bool, error) {
	var slices discoveryv1.EndpointSliceList
	if err := b.config.Cache.List(ctx, &slices, client.UnsafeDisableDeepCopy, client.InNamespace(svc.Namespace),
		client.MatchingLabels{discoveryv1.LabelServiceName: svc.Name}); err != nil {
		return nil, fmt.Errorf("listing endpoint slices of service %s: %w", keyOf(svc), err)
	}
	local := map[string]bool{}
	for i := range slices.Items {
		for _, e := range slices.Items[i].Endpoints {
			if e.NodeName != nil && (e.Conditions.Ready == nil || *e.Conditions.Ready) {
				local[*e.NodeName] = true
			}
		}
	}
	return local, nil
}
