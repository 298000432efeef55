package horizontalpodautoscaler

import (
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// SetupWithManager registers the controller. An autoscaler is woken when its
// specification changes, and once every period.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	err := builder.ControllerManagedBy(mgr).Named(Name).WithOptions(opts).
		For(&autoscalingv2.HorizontalPodAutoscaler{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).Complete(r)
	if err != nil {
		return fmt.Errorf("building %s: %w", Name, err)
	}
	return nil
}
