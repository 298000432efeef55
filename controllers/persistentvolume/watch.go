package persistentvolume

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

	"github.com/coracle-k8s/coracle/apis/index"
)

// SetupWithManager wakes the reconciler for claims and volumes, for the claim
// of a volume and the volume of a claim, and for claims that wait when a
// volume or a class comes that may be theirs.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	changed := builder.WithPredicates(predicate.Funcs{DeleteFunc: func(event.DeleteEvent) bool { return false }})
	return ctrl.NewControllerManagedBy(mgr).Named(Name).
		For(&corev1.PersistentVolumeClaim{}, changed).
		Watches(&corev1.PersistentVolumeClaim{}, handler.EnqueueRequestsFromMapFunc(r.volumeOf)).
		Watches(&corev1.PersistentVolume{}, handler.EnqueueRequestsFromMapFunc(r.ofVolume)).
		Watches(&storagev1.StorageClass{}, handler.EnqueueRequestsFromMapFunc(r.waitingFor)).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(r.delayedOf), builder.WithPredicates(predicate.Funcs{
			CreateFunc: func(e event.CreateEvent) bool { return len(index.ByVolumeClaim(e.Object)) > 0 },
			UpdateFunc: func(event.UpdateEvent) bool { return false },
			DeleteFunc: func(event.DeleteEvent) bool { return false },
		})).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(recycledBy), builder.WithPredicates(recyclerEnds())).
		WithOptions(opts).Complete(r)
}
