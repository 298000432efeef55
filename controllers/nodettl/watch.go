package nodettl

import (
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// SetupWithManager registers the controller. A node is woken when it comes or
// its annotation changes; a new time reaches a node with its next change, which
// is a heartbeat away.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).Named(Name).
		WatchesRawSource(source.Kind(mgr.GetCache(), &corev1.Node{}, r.handler())).
		WithOptions(opts).Complete(r)
}
