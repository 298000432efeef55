package serviceaccount

import (
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// SetupWithManager wakes the reconciler for every Namespace, and for the
// namespace of a wanted account that is deleted.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named(Name).
		For(&corev1.Namespace{}).
		Watches(&corev1.ServiceAccount{}, handler.EnqueueRequestsFromMapFunc(toNamespace),
			builder.WithPredicates(r.wantedDeleted())).
		WithOptions(opts).
		Complete(r)
}
