package rootca

import (
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// SetupWithManager wakes the reconciler for Namespaces, for ConfigMaps named
// kube-root-ca.crt, and for all namespaces when the authority changes.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	b := ctrl.NewControllerManagedBy(mgr).
		Named(Name).
		For(&corev1.Namespace{}).
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(toNamespace),
			builder.WithPredicates(published())).
		WithOptions(opts)
	if r.config.Changed != nil {
		b = b.WatchesRawSource(source.Channel(r.config.Changed, handler.EnqueueRequestsFromMapFunc(r.everyNamespace)))
	}
	return b.Complete(r)
}
