package serviceips

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/networking"
	"github.com/coracle-k8s/coracle/controllers"
)

// Name is the controller's name, as upstream's.
const Name = "ipallocator-repair-controller"

// Reconciler repairs one Service's addresses, or one address.
type Reconciler struct {
	client   client.Client
	live     client.Reader
	clock    clock.PassiveClock
	recorder events.EventRecorder
}

// New returns a Reconciler.
func New(d controllers.Deps) *Reconciler {
	return &Reconciler{client: d.Client, live: d.Live, clock: d.Clock, recorder: d.Events(Name)}
}

func ofAddress(_ context.Context, o client.Object) []reconcile.Request {
	requests := []reconcile.Request{{NamespacedName: types.NamespacedName{Name: o.GetName()}}}
	if ip, ok := o.(*networkingv1.IPAddress); ok && ip.Spec.ParentRef != nil && ip.Spec.ParentRef.Resource == "services" {
		ref := ip.Spec.ParentRef
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}})
	}
	return requests
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	if req.Namespace == "" {
		return r.reconcileIP(ctx, req.Name)
	}
	return reconcile.Result{}, r.reconcileService(ctx, req.NamespacedName)
}

// found reads an object, nil if there is none.
func found[T client.Object](ctx context.Context, c client.Reader, key types.NamespacedName, obj T, opts ...client.GetOption) (T, error) {
	var none T
	err := c.Get(ctx, key, obj, opts...)
	if apierrors.IsNotFound(err) {
		return none, nil
	}
	if err != nil {
		return none, fmt.Errorf("reading %s: %w", key, err)
	}
	return obj, nil
}

func (r *Reconciler) reconcileService(ctx context.Context, key types.NamespacedName) error {
	if repairs, _, err := r.look(ctx, r.client, key); err != nil || len(repairs) == 0 {
		return err
	}
	// The cache of one kind may be ahead of the other's.
	repairs, svc, err := r.look(ctx, r.live, key)
	if err != nil {
		return err
	}
	for _, repair := range repairs {
		if repair.note != nil {
			r.emit(svc, repair.note)
		}
		if repair.remove != nil {
			if err := r.client.Delete(ctx, repair.remove, client.Preconditions{UID: &repair.remove.UID}); client.IgnoreNotFound(err) != nil {
				return fmt.Errorf("deleting IP address %s: %w", repair.remove.Name, err)
			}
		}
		if repair.create != nil {
			if err := r.client.Create(ctx, repair.create); err != nil && !apierrors.IsAlreadyExists(err) {
				return fmt.Errorf("creating IP address %s: %w", repair.create.Name, err)
			}
		}
	}
	return nil
}

func (r *Reconciler) emit(of client.Object, n *note) {
	r.recorder.Eventf(of, nil, corev1.EventTypeWarning, n.reason, n.action(), "%s", n.message)
}

// look plans for a Service from the objects of reader.
func (r *Reconciler) look(ctx context.Context, reader client.Reader, key types.NamespacedName) ([]repair, *corev1.Service, error) {
	svc, err := found(ctx, reader, key, &corev1.Service{})
	if err != nil || svc == nil {
		return nil, nil, err
	}
	var failed error
	keep := func(err error) {
		if failed == nil {
			failed = err
		}
	}
	var ranges networkingv1.ServiceCIDRList
	keep(reader.List(ctx, &ranges))
	repairs := planService(svc, observed{
		address: func(name string) *networkingv1.IPAddress {
			ip, err := found(ctx, reader, types.NamespacedName{Name: name}, &networkingv1.IPAddress{})
			keep(err)
			return ip
		},
		service: func(namespace, name string) *corev1.Service {
			other, err := found(ctx, reader, types.NamespacedName{Namespace: namespace, Name: name}, &corev1.Service{})
			keep(err)
			return other
		},
		inRange: func(ip netip.Addr) bool { return inRange(ranges.Items, ip) },
	})
	return repairs, svc, failed
}

// inRange reports whether an address is in a range. It is true while there are
// no ranges at all: the server has not written its own yet.
func inRange(ranges []networkingv1.ServiceCIDR, ip netip.Addr) bool {
	for i := range ranges {
		for _, p := range networking.Prefixes(&ranges[i]) {
			if p.Contains(ip) {
				return true
			}
		}
	}
	return len(ranges) == 0
}

func (r *Reconciler) reconcileIP(ctx context.Context, name string) (reconcile.Result, error) {
	if _, remove, again, err := r.lookIP(ctx, r.client, name); err != nil || remove == nil {
		return reconcile.Result{RequeueAfter: again}, err
	}
	ip, remove, again, err := r.lookIP(ctx, r.live, name)
	if err != nil || remove == nil {
		return reconcile.Result{RequeueAfter: again}, err
	}
	r.emit(ip, remove)
	if err := r.client.Delete(ctx, ip, client.Preconditions{UID: &ip.UID}); client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("deleting IP address %s: %w", name, err)
	}
	return reconcile.Result{}, nil
}

// lookIP plans for an address from the objects of reader.
func (r *Reconciler) lookIP(ctx context.Context, reader client.Reader, name string) (*networkingv1.IPAddress, *note, time.Duration, error) {
	ip, err := found(ctx, reader, types.NamespacedName{Name: name}, &networkingv1.IPAddress{})
	if err != nil || ip == nil {
		return nil, nil, 0, err
	}
	var svc *corev1.Service
	if ref := ip.Spec.ParentRef; ref != nil && ref.Namespace != "" {
		if svc, err = found(ctx, reader, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, &corev1.Service{}); err != nil {
			return nil, nil, 0, err
		}
	}
	remove, again := planIP(ip, svc, r.clock.Now())
	return ip, remove, again, nil
}
