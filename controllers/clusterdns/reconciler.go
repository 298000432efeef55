package clusterdns

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/controllers"
)

// Name is the controller's name.
const Name = "cluster-dns-controller"

// Reconciler keeps the Service kube-dns. Make it with New.
type Reconciler struct {
	client  client.Client
	address string
}

// New returns a Reconciler for a Service with an address.
func New(d controllers.Deps, address string) *Reconciler {
	return &Reconciler{client: d.Client, address: address}
}

func nodeChanged(e event.UpdateEvent) bool {
	before, ok1 := e.ObjectOld.(*corev1.Node)
	after, ok2 := e.ObjectNew.(*corev1.Node)
	return ok1 && ok2 && (before.Annotations[apis.AnnotationDNS] != after.Annotations[apis.AnnotationDNS] || seen(before) != seen(after))
}

// Reconcile compares what is there with the nodes.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	nodes := &corev1.NodeList{}
	if err := r.client.List(ctx, nodes, client.UnsafeDisableDeepCopy); err != nil {
		return reconcile.Result{}, fmt.Errorf("listing nodes: %w", err)
	}
	service := &corev1.Service{}
	if err := r.client.Get(ctx, req.NamespacedName, service); apierrors.IsNotFound(err) {
		service = nil
	} else if err != nil {
		return reconcile.Result{}, fmt.Errorf("reading service %s: %w", req, err)
	}
	have := &discoveryv1.EndpointSliceList{}
	if err := r.client.List(ctx, have, client.InNamespace(req.Namespace), client.MatchingLabels{discoveryv1.LabelManagedBy: ManagedBy}); err != nil {
		return reconcile.Result{}, fmt.Errorf("listing endpoint slices: %w", err)
	}
	return reconcile.Result{}, r.apply(ctx, planFor(r.address, nodes.Items, service, have.Items))
}

// apply makes the writes. An object that an earlier reconcile made and the
// cache does not show yet is no error: its event brings the next one.
func (r *Reconciler) apply(ctx context.Context, p plan) error {
	var errs []error
	if p.createService != nil {
		if err := r.client.Create(ctx, p.createService); err != nil && !apierrors.IsAlreadyExists(err) {
			errs = append(errs, fmt.Errorf("creating service %s: %w", ServiceName, err))
		}
	}
	for _, slice := range p.create {
		if err := r.client.Create(ctx, slice); err != nil && !apierrors.IsAlreadyExists(err) {
			errs = append(errs, fmt.Errorf("creating endpoint slice %s: %w", slice.Name, err))
		}
	}
	for _, slice := range p.update {
		if err := r.client.Update(ctx, slice); err != nil {
			errs = append(errs, fmt.Errorf("updating endpoint slice %s: %w", slice.Name, err))
		}
	}
	for _, slice := range p.delete {
		if err := r.client.Delete(ctx, slice); client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("deleting endpoint slice %s: %w", slice.Name, err))
		}
	}
	return errors.Join(errs...)
}
