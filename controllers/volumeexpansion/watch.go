package volumeexpansion

import (
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// SetupWithManager wakes the reconciler for claims that ask for more.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).Named(Name).
		For(&corev1.PersistentVolumeClaim{}, builder.WithPredicates(predicate.Funcs{
			CreateFunc: func(e event.CreateEvent) bool {
				c, ok := e.Object.(*corev1.PersistentVolumeClaim)
				return ok && grows(c)
			},
			UpdateFunc: func(e event.UpdateEvent) bool {
				old, ok1 := e.ObjectOld.(*corev1.PersistentVolumeClaim)
				c, ok2 := e.ObjectNew.(*corev1.PersistentVolumeClaim)
				return ok1 && ok2 && grows(c) && c.Spec.Resources.Requests.Storage().Cmp(*old.Spec.Resources.Requests.Storage()) > 0
			},
			DeleteFunc: func(event.DeleteEvent) bool { return false },
		})).
		WithOptions(opts).Complete(r)
}
