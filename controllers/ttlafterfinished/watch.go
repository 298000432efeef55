package ttlafterfinished

import (
	batchv1 "k8s.io/api/batch/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// SetupWithManager registers the controller; finished Jobs wake it.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	finished := predicate.NewTypedPredicateFuncs(func(j *batchv1.Job) bool { _, ok := Expiry(j); return ok })
	return ctrl.NewControllerManagedBy(mgr).Named(Name).
		WatchesRawSource(source.Kind(mgr.GetCache(), &batchv1.Job{}, &handler.TypedEnqueueRequestForObject[*batchv1.Job]{}, finished)).
		WithOptions(opts).Complete(r)
}
