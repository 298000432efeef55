package serviceips

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// SetupWithManager wakes the reconciler for Services and addresses, and for the
// Service of an address that goes.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).Named(Name).
		For(&corev1.Service{}).
		Watches(&networkingv1.IPAddress{}, handler.EnqueueRequestsFromMapFunc(ofAddress)).
		WithOptions(opts).Complete(r)
}
