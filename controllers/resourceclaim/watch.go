package resourceclaim

import (
	"errors"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/index"
)

// SetupWithManager wakes the two reconcilers, see the package's documentation.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	uses := predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return has(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool { return has(e.ObjectNew) },
		DeleteFunc: func(event.DeleteEvent) bool { return false },
	}
	ends := predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return ended(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool { return ended(e.ObjectNew) },
	}
	there := predicate.Funcs{DeleteFunc: func(event.DeleteEvent) bool { return false }}
	return errors.Join(
		ctrl.NewControllerManagedBy(mgr).Named(Name).
			For(&corev1.Pod{}, builder.WithPredicates(uses)).
			Owns(&resourcev1.ResourceClaim{}).
			Watches(&resourcev1.ResourceClaim{}, r.podsBy(index.PodClaim)).
			Watches(&resourcev1.ResourceClaimTemplate{}, r.podsBy(index.PodClaimTemplate), builder.WithPredicates(there)).
			WithOptions(opts).Complete(r),
		ctrl.NewControllerManagedBy(mgr).Named(Name+"-release").
			For(&resourcev1.ResourceClaim{}, builder.WithPredicates(there)).
			Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(claimsOf), builder.WithPredicates(ends)).
			WithOptions(opts).Complete(reconcile.Func(r.release)),
	)
}
