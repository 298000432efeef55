package nodeipam

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// SetupWithManager wakes the reconciler for new Nodes, for those whose ranges
// changed, and for those that are gone. Heartbeats do not wake it.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named(Name).
		WatchesRawSource(source.Func(func(_ context.Context, q queue) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.enqueue = func(node string) { q.Add(request(node)) }
			return nil
		})).
		WatchesRawSource(source.Kind(mgr.GetCache(), &corev1.Node{}, nodeHandler())).
		WithOptions(opts).
		Complete(r)
}
