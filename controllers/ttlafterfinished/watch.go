package ttlafterfinished

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// SetupWithManager registers the controller; finished Jobs wake it.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	opts.Reconciler = r
	c, err := controller.New(Name, mgr, opts)
	if err != nil {
		return fmt.Errorf("building %s: %w", Name, err)
	}
	finished := predicate.NewTypedPredicateFuncs(func(j *batchv1.Job) bool { _, ok := Expiry(j); return ok })
	if err := c.Watch(source.Kind(mgr.GetCache(), &batchv1.Job{}, &handler.TypedEnqueueRequestForObject[*batchv1.Job]{}, finished)); err != nil {
		return fmt.Errorf("watching Jobs: %w", err)
	}
	return nil
}
