package serviceloadbalancer

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// A failed Service is tried again after 5 s, then ever later up to 5 minutes, as
// upstream does: asking may cost money or time elsewhere.
const minRetry, maxRetry = 5 * time.Second, 5 * time.Minute

// SetupWithManager wakes the reconciler for Services whose load balancer may
// have to change, for all that have one when a node begins or ceases to take
// traffic, and for a Follower's sources.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	opts.RateLimiter = workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](minRetry, maxRetry)
	b := ctrl.NewControllerManagedBy(mgr).
		Named(Name).
		For(&corev1.Service{}, builder.WithPredicates(services())).
		WatchesRawSource(source.Kind(mgr.GetCache(), &corev1.Node{}, r.nodeHandler())).
		WithOptions(opts)
	if f, ok := r.config.Balancer.(Follower); ok {
		for _, s := range f.Sources() {
			b = b.WatchesRawSource(s)
		}
	}
	return b.Complete(r)
}

func services() predicate.Funcs {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool {
			svc, ok := e.Object.(*corev1.Service)
			return ok && (wants(svc) || hasFinalizer(svc) && !foreign(svc))
		},
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok1 := e.ObjectOld.(*corev1.Service)
			after, ok2 := e.ObjectNew.(*corev1.Service)
			return ok1 && ok2 && concerns(before, after)
		},
		// With a finalizer a deletion is an update first. One without has a
		// record if it had a balancer.
		DeleteFunc: func(e event.DeleteEvent) bool {
			svc, ok := e.Object.(*corev1.Service)
			return ok && wants(svc)
		},
	}
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

func (r *Reconciler) nodeHandler() handler.TypedEventHandler[*corev1.Node, reconcile.Request] {
	return handler.TypedFuncs[*corev1.Node, reconcile.Request]{
		CreateFunc: func(ctx context.Context, _ event.TypedCreateEvent[*corev1.Node], q queue) { r.wakeAll(ctx, q) },
		DeleteFunc: func(ctx context.Context, _ event.TypedDeleteEvent[*corev1.Node], q queue) { r.wakeAll(ctx, q) },
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[*corev1.Node], q queue) {
			// A taint alone moves nothing, so that connections drain.
			if excluded(e.ObjectOld) != excluded(e.ObjectNew) || e.ObjectOld.Spec.ProviderID != e.ObjectNew.Spec.ProviderID {
				r.wakeAll(ctx, q)
			}
		},
	}
}

// wakeAll enqueues every Service that has a load balancer or is about to have
// one: one that is looked at this moment may have read the nodes of before.
func (r *Reconciler) wakeAll(ctx context.Context, q queue) {
	var services corev1.ServiceList
	if err := r.client.List(ctx, &services, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing services")
		return
	}
	for i := range services.Items {
		if svc := &services.Items[i]; wants(svc) {
			q.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(svc)})
		}
	}
}
