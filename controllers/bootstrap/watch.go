package bootstrap

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// SetupWithManager registers the controller. Every change of cluster-info and of
// a bootstrap token wakes it.
func (s *Signer) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	wake := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: clusterInfo()}}
	})
	isInfo := predicate.NewPredicateFuncs(func(o client.Object) bool { return client.ObjectKeyFromObject(o) == clusterInfo() })
	return ctrl.NewControllerManagedBy(mgr).Named(SignerName).
		Watches(&corev1.ConfigMap{}, wake, builder.WithPredicates(isInfo)).
		Watches(&corev1.Secret{}, wake, builder.WithPredicates(tokens())).
		WithOptions(opts).Complete(s)
}

// SetupWithManager registers the controller. Tokens wake it when they change and
// when they expire.
func (c *Cleaner) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).Named(CleanerName).
		For(&corev1.Secret{}, builder.WithPredicates(tokens())).
		WithOptions(opts).Complete(c)
}
