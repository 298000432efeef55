package nodelifecycle

import (
	"context"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// SetupWithManager wakes the reconciler for Nodes and at the end of their grace
// periods. Leases are listened to without waking anything.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named(Name).
		For(&corev1.Node{}).
		WatchesRawSource(source.Kind(mgr.GetCache(), &coordinationv1.Lease{}, r.leaseHandler())).
		WatchesRawSource(source.Func(func(ctx context.Context, q queue) error {
			r.watch.start(func(node string) {
				q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: node}})
			})
			go r.alarms.Run(ctx, r.ring)
			return nil
		})).
		WithOptions(opts).
		Complete(r)
}

func (r *Reconciler) leaseHandler() handler.TypedEventHandler[*coordinationv1.Lease, reconcile.Request] {
	hear := func(l *coordinationv1.Lease) {
		if l.Namespace == corev1.NamespaceNodeLease && l.Spec.RenewTime != nil {
			r.watch.renew(l.Name, l.Spec.RenewTime.Time, r.clock.Now())
		}
	}
	return handler.TypedFuncs[*coordinationv1.Lease, reconcile.Request]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[*coordinationv1.Lease], _ queue) {
			hear(e.Object)
		},
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[*coordinationv1.Lease], _ queue) {
			hear(e.ObjectNew)
		},
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[*coordinationv1.Lease], _ queue) {
			if e.Object.Namespace == corev1.NamespaceNodeLease {
				r.watch.expire(e.Object.Name)
			}
		},
	}
}
