package volumeprotection

import (
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

// SetupWithManager wakes the reconciler for claims, and for those of pods that
// come, end or go.
func (r *Claims) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).Named(ClaimsName).
		For(&corev1.PersistentVolumeClaim{}).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(claimsOf), builder.WithPredicates(predicate.Funcs{
			UpdateFunc: func(e event.UpdateEvent) bool {
				old, ok1 := e.ObjectOld.(*corev1.Pod)
				pod, ok2 := e.ObjectNew.(*corev1.Pod)
				return ok1 && ok2 && (old.UID != pod.UID || pod.DeletionTimestamp != nil || over(old) != over(pod))
			},
		})).
		WithOptions(opts).Complete(r)
}

// SetupWithManager wakes the reconciler for volumes.
func (r *Volumes) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).Named(VolumesName).For(&corev1.PersistentVolume{}).WithOptions(opts).Complete(r)
}

// SetupWithManager wakes the reconciler for classes, and for those of claims
// and volumes that change or go.
func (r *AttributesClasses) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	notNew := builder.WithPredicates(predicate.Funcs{CreateFunc: func(event.CreateEvent) bool { return false }})
	return ctrl.NewControllerManagedBy(mgr).Named(AttributesClassesName).
		For(&storagev1.VolumeAttributesClass{}).
		Watches(&corev1.PersistentVolumeClaim{}, handler.EnqueueRequestsFromMapFunc(r.deleting), notNew).
		Watches(&corev1.PersistentVolume{}, handler.EnqueueRequestsFromMapFunc(r.deleting), notNew).
		WithOptions(opts).Complete(r)
}
