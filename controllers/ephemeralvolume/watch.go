package ephemeralvolume

import (
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// SetupWithManager wakes the reconciler for new pods that have such volumes,
// and for those whose claim is gone.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	fresh := predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return has(e.Object) },
		UpdateFunc: func(event.UpdateEvent) bool { return false }, // volumes never change
		DeleteFunc: func(event.DeleteEvent) bool { return false },
	}
	gone := predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		UpdateFunc: func(event.UpdateEvent) bool { return false },
	}
	return ctrl.NewControllerManagedBy(mgr).Named(Name).
		For(&corev1.Pod{}, builder.WithPredicates(fresh)).
		Owns(&corev1.PersistentVolumeClaim{}, builder.WithPredicates(gone)).
		WithOptions(opts).Complete(r)
}
