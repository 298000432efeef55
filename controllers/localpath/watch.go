package localpath

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// SetupWithManager wakes the reconciler, and makes the default class when mgr starts.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	if err := mgr.Add(manager.RunnableFunc(r.makeClass)); err != nil {
		return fmt.Errorf("adding the making of class %s: %w", Class, err)
	}
	arrives := predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return onNode(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool { return !onNode(e.ObjectOld) && onNode(e.ObjectNew) },
		DeleteFunc: func(event.DeleteEvent) bool { return false },
	}
	return ctrl.NewControllerManagedBy(mgr).Named(Name).
		For(&corev1.PersistentVolumeClaim{}).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(claimsOf), builder.WithPredicates(arrives)).
		Watches(&corev1.PersistentVolume{}, &handler.EnqueueRequestForObject{}).
		Watches(&storagev1.StorageClass{}, handler.EnqueueRequestsFromMapFunc(r.claimsOfClass)).
		WithOptions(opts).Complete(r)
}

// SetupWithManager wakes the remover.
func (r *Remover) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).Named(RemoverName).For(&corev1.PersistentVolume{}).WithOptions(opts).Complete(r)
}
