package legacytokens

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// SetupWithManager wakes the Cleaner for token Secrets when they are first seen.
func (c *Cleaner) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	seen := predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool {
			secret, ok := e.Object.(*corev1.Secret)
			return ok && secret.Type == corev1.SecretTypeServiceAccountToken
		},
		UpdateFunc: func(event.UpdateEvent) bool { return false },
		DeleteFunc: func(event.DeleteEvent) bool { return false },
	}
	return ctrl.NewControllerManagedBy(mgr).Named(CleanerName).
		For(&corev1.Secret{}, builder.WithPredicates(seen)).WithOptions(opts).Complete(c)
}

// SetupWithManager wakes the Tracker at the start, and for its ConfigMap.
func (t *Tracker) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	name := types.NamespacedName{Namespace: "kube-system", Name: ConfigMapName}
	ours := predicate.NewPredicateFuncs(func(o client.Object) bool { return client.ObjectKeyFromObject(o) == name })
	return ctrl.NewControllerManagedBy(mgr).Named(TrackerName).
		For(&corev1.ConfigMap{}, builder.WithPredicates(ours)).
		WatchesRawSource(source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
			q.Add(reconcile.Request{NamespacedName: name})
			return nil
		})).
		WithOptions(opts).Complete(t)
}
