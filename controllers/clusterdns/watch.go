package clusterdns

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis"
)

// SetupWithManager registers the controller. It is woken by nodes that begin or
// cease to answer queries, and by changes of what it keeps.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	opts.MaxConcurrentReconciles = 1
	one := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: metav1.NamespaceSystem, Name: ServiceName}}}
	})
	nodes := predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return e.Object.GetAnnotations()[apis.AnnotationDNS] != "" },
		DeleteFunc: func(e event.DeleteEvent) bool { return e.Object.GetAnnotations()[apis.AnnotationDNS] != "" },
		UpdateFunc: nodeChanged,
	}
	service := predicate.NewPredicateFuncs(func(o client.Object) bool {
		return o.GetName() == ServiceName && o.GetNamespace() == metav1.NamespaceSystem
	})
	slices := predicate.NewPredicateFuncs(func(o client.Object) bool {
		return o.GetLabels()[discoveryv1.LabelManagedBy] == ManagedBy
	})
	return ctrl.NewControllerManagedBy(mgr).Named(Name).
		Watches(&corev1.Node{}, one, builder.WithPredicates(nodes)).
		Watches(&corev1.Service{}, one, builder.WithPredicates(service)).
		Watches(&discoveryv1.EndpointSlice{}, one, builder.WithPredicates(slices)).
		WithOptions(opts).Complete(r)
}
