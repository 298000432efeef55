package endpoints

import (
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/coracle-k8s/coracle/controllers/internal/servicepods"
)

// SetupWithManager wakes the reconciler for Services, for Pods whose endpoint
// changed, and for Endpoints.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named(Name).
		For(&corev1.Service{}, builder.WithPredicates(predicate.Funcs{DeleteFunc: func(e event.DeleteEvent) bool {
			r.serviceDeleted(client.ObjectKeyFromObject(e.Object))
			return true
		}})).
		WatchesRawSource(source.Kind(mgr.GetCache(), &corev1.Pod{}, servicepods.Handler(mgr.GetCache(), r.pacer))).
		Watches(&corev1.Endpoints{}, &handler.EnqueueRequestForObject{}).
		WithOptions(opts).
		Complete(r)
}
