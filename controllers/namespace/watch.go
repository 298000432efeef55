package namespace

import (
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// SetupWithManager registers the controller. Namespaces wake it when they begin
// to terminate, and the ends of pods in such a namespace do.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).Named(Name).
		Watches(&corev1.Namespace{}, namespaceHandler()).
		Watches(&corev1.Pod{}, r.podHandler()).
		WithOptions(opts).Complete(r)
}
