package tainteviction

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// SetupWithManager wakes the reconciler for bound Pods, for the pods of a Node
// whose NoExecute taints changed, and for pods whose time has come.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named(Name).
		WatchesRawSource(source.Kind(mgr.GetCache(), &corev1.Pod{}, podHandler())).
		WatchesRawSource(source.Kind(mgr.GetCache(), &corev1.Node{}, r.nodeHandler())).
		WatchesRawSource(source.Func(func(ctx context.Context, q queue) error {
			go r.alarms.Run(ctx, func(pod types.NamespacedName) { q.Add(reconcile.Request{NamespacedName: pod}) })
			return nil
		})).
		WithOptions(opts).
		Complete(r)
}
