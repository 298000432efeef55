package clusterauthentication

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// SetupWithManager wakes the Reconciler for the ConfigMap.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	ours := predicate.NewPredicateFuncs(func(o client.Object) bool {
		return o.GetNamespace() == metav1.NamespaceSystem && o.GetName() == ConfigMapName
	})
	return ctrl.NewControllerManagedBy(mgr).Named(Name).
		For(&corev1.ConfigMap{}, builder.WithPredicates(ours)).WithOptions(opts).Complete(r)
}
