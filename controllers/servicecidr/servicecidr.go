// Package servicecidr marks which ranges ClusterIPs may be taken from, and keeps
// those that are used: https://kubernetes.io/docs/reference/networking/virtual-ips/.
//
// It wakes on ServiceCIDRs, and on IPAddresses that go.
//
// Invariants:
//
//  1. A ServiceCIDR that is not being deleted has the finalizer and is Ready.
//  2. One that is being deleted goes when every address of Services in it is in
//     another range too, and no sooner than a grace period after its deletion,
//     by which time all allocators have seen that.
//
// The API of this package is not stable: see docs/api.md.
package servicecidr

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/networking"
	"github.com/coracle-k8s/coracle/controllers"
)

// Name is the controller's name, as upstream's.
const Name = "service-cidr-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "ipaddresses"

// deletionGrace is how long a range stays after its deletion; upstream's.
const deletionGrace = 10 * time.Second

// conflictRetry is how long the cache gets to learn of a write.
const conflictRetry = 20 * time.Millisecond

// Reconciler takes care of one ServiceCIDR.
type Reconciler struct {
	client client.Client
	clock  clock.PassiveClock
}

// New returns a Reconciler.
func New(d controllers.Deps) *Reconciler {
	return &Reconciler{client: d.Client, clock: d.Clock}
}

func (r *Reconciler) deleting(ctx context.Context, _ client.Object) []reconcile.Request {
	var list networkingv1.ServiceCIDRList
	if err := r.client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing service CIDRs")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp != nil {
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: list.Items[i].Name}})
		}
	}
	return requests
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	result, err := r.reconcile(ctx, req)
	if apierrors.IsConflict(err) { // the cache is behind this controller's own write
		return reconcile.Result{RequeueAfter: conflictRetry}, nil
	}
	return result, err
}

func (r *Reconciler) reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var cidr networkingv1.ServiceCIDR
	if err := r.client.Get(ctx, req.NamespacedName, &cidr); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if cidr.DeletionTimestamp == nil {
		if controllerutil.AddFinalizer(&cidr, networking.CIDRFinalizer) {
			if err := r.client.Update(ctx, &cidr); err != nil {
				return reconcile.Result{}, fmt.Errorf("adding the finalizer of service CIDR %s: %w", cidr.Name, err)
			}
		}
		return reconcile.Result{}, r.setReady(ctx, &cidr, ready())
	}
	var all networkingv1.ServiceCIDRList
	if err := r.client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return reconcile.Result{}, fmt.Errorf("listing service CIDRs: %w", err)
	}
	var addresses networkingv1.IPAddressList
	if err := r.client.List(ctx, &addresses, client.UnsafeDisableDeepCopy, client.MatchingLabels{networkingv1.LabelManagedBy: networking.AllocatorName}); err != nil {
		return reconcile.Result{}, fmt.Errorf("listing IP addresses: %w", err)
	}
	if needed(&cidr, all.Items, addresses.Items) {
		return reconcile.Result{}, r.setReady(ctx, &cidr, terminating())
	}
	if wait := deletionGrace - r.clock.Since(cidr.DeletionTimestamp.Time); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	if controllerutil.RemoveFinalizer(&cidr, networking.CIDRFinalizer) {
		if err := r.client.Update(ctx, &cidr); client.IgnoreNotFound(err) != nil {
			return reconcile.Result{}, fmt.Errorf("removing the finalizer of service CIDR %s: %w", cidr.Name, err)
		}
	}
	return reconcile.Result{}, nil
}

func ready() metav1.Condition {
	return metav1.Condition{Type: networkingv1.ServiceCIDRConditionReady, Status: metav1.ConditionTrue, Message: "Kubernetes Service CIDR is ready"}
}

func terminating() metav1.Condition {
	return metav1.Condition{Type: networkingv1.ServiceCIDRConditionReady, Status: metav1.ConditionFalse, Reason: networkingv1.ServiceCIDRReasonTerminating,
		Message: "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"}
}

func (r *Reconciler) setReady(ctx context.Context, cidr *networkingv1.ServiceCIDR, c metav1.Condition) error {
	c.LastTransitionTime = metav1.NewTime(r.clock.Now())
	if !meta.SetStatusCondition(&cidr.Status.Conditions, c) {
		return nil
	}
	if err := r.client.Status().Update(ctx, cidr); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("updating the status of service CIDR %s: %w", cidr.Name, err)
	}
	return nil
}

// needed reports whether an address would be in no range any more without cidr.
func needed(cidr *networkingv1.ServiceCIDR, all []networkingv1.ServiceCIDR, addresses []networkingv1.IPAddress) bool {
	var others []netip.Prefix
	for i := range all {
		if all[i].Name != cidr.Name {
			others = append(others, networking.Prefixes(&all[i])...)
		}
	}
	mine := networking.Prefixes(cidr)
	for i := range addresses {
		ip, err := netip.ParseAddr(addresses[i].Name)
		if err == nil && contains(mine, ip) && !contains(others, ip) {
			return true
		}
	}
	return false
}

func contains(ranges []netip.Prefix, ip netip.Addr) bool {
	for _, r := range ranges {
		if r.Contains(ip) {
			return true
		}
	}
	return false
}
