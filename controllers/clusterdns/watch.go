package clusterdns

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/coracle-k8s/coracle/apis"
)

// SetupWithManager registers the controller. It is woken by nodes that begin or
// cease to answer queries, and by changes of what it keeps.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	opts.Reconciler, opts.MaxConcurrentReconciles = r, 1
	c, err := controller.New(Name, mgr, opts)
	if err != nil {
		return fmt.Errorf("building %s: %w", Name, err)
	}
	one := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: metav1.NamespaceSystem, Name: ServiceName}}}
	})
	for _, watched := range []struct {
		kind  client.Object
		which predicate.Predicate
	}{
		{&corev1.Node{}, predicate.Funcs{
			CreateFunc: func(e event.CreateEvent) bool { return e.Object.GetAnnotations()[apis.AnnotationDNS] != "" },
			DeleteFunc: func(e event.DeleteEvent) bool { return e.Object.GetAnnotations()[apis.AnnotationDNS] != "" },
			UpdateFunc: nodeChanged,
		}},
		{&corev1.Service{}, predicate.NewPredicateFuncs(func(o client.Object) bool {
			return o.GetName() == ServiceName && o.GetNamespace() == metav1.NamespaceSystem
		})},
		{&discoveryv1.EndpointSlice{}, predicate.NewPredicateFuncs(func(o client.Object) bool {
			return o.GetLabels()[discoveryv1.LabelManagedBy] == ManagedBy
		})},
	} {
		if err := c.Watch(source.Kind(mgr.GetCache(), watched.kind, one, watched.which)); err != nil {
			return fmt.Errorf("watching %T: %w", watched.kind, err)
		}
	}
	return nil
}
