package nodeaddress

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	nodeapi "github.com/coracle-k8s/coracle/apis/core/node"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// Sources enqueue Services that are balanced here: all when a node's readiness, addresses
// or port changed, those that share a port with a Service that changed, one whose status
// has other addresses, and one with externalTrafficPolicy Local when its endpoints moved.
// The reconciler then calls Stale.
func (b *Balancer) Sources() []source.Source {
	c := b.config.Cache
	return []source.Source{
		source.Kind(c, &corev1.Service{}, b.serviceHandler()),
		source.Kind(c, &corev1.Node{}, b.nodeHandler()),
		source.Kind(c, &discoveryv1.EndpointSlice{}, b.sliceHandler()),
	}
}

func request(svc *corev1.Service) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKeyFromObject(svc)}
}

// wake enqueues the balanced Services that pass.
func (b *Balancer) wake(ctx context.Context, q queue, pass func(*corev1.Service) bool) {
	var services corev1.ServiceList
	if err := b.config.Cache.List(ctx, &services, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing services")
		return
	}
	for i := range services.Items {
		if svc := &services.Items[i]; balanced(svc) && pass(svc) {
			q.Add(request(svc))
		}
	}
}

// wakeRivals enqueues the Services that may have waited for what a Service had,
// or that have what it gets. Those without an address are included: they may
// wait for a Service that now has more.
func (b *Balancer) wakeRivals(ctx context.Context, q queue, svc *corev1.Service) {
	b.wake(ctx, q, func(other *corev1.Service) bool {
		return keyOf(other) != keyOf(svc) && (rivals(other, svc) || len(other.Status.LoadBalancer.Ingress) == 0)
	})
}

func (b *Balancer) serviceHandler() handler.TypedEventHandler[*corev1.Service, reconcile.Request] {
	return handler.TypedFuncs[*corev1.Service, reconcile.Request]{
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[*corev1.Service], q queue) {
			before, after := e.ObjectOld, e.ObjectNew
			addresses := !equality.Semantic.DeepEqual(before.Status.LoadBalancer.Ingress, after.Status.LoadBalancer.Ingress)
			moved := addresses || balanced(before) != balanced(after) || !equality.Semantic.DeepEqual(before.Spec.Ports, after.Spec.Ports)
			if moved && (balanced(before) || balanced(after)) {
				b.wakeRivals(ctx, q, before)
			}
			// Stale may have read the status of before.
			if addresses && balanced(after) {
				q.Add(request(after))
			}
		},
		DeleteFunc: func(ctx context.Context, e event.TypedDeleteEvent[*corev1.Service], q queue) {
			if e.Object.Spec.Type == corev1.ServiceTypeLoadBalancer {
				b.wakeRivals(ctx, q, e.Object)
			}
		},
	}
}

func (b *Balancer) nodeHandler() handler.TypedEventHandler[*corev1.Node, reconcile.Request] {
	all := func(*corev1.Service) bool { return true }
	return handler.TypedFuncs[*corev1.Node, reconcile.Request]{
		// One that begins or ceases to be there wakes all by itself.
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[*corev1.Node], q queue) {
			before, after := e.ObjectOld, e.ObjectNew
			if nodeapi.IsReady(before) != nodeapi.IsReady(after) || before.Status.DaemonEndpoints != after.Status.DaemonEndpoints ||
				!equality.Semantic.DeepEqual(before.Status.Addresses, after.Status.Addresses) {
				b.wake(ctx, q, all)
			}
		},
	}
}

func (b *Balancer) sliceHandler() handler.TypedEventHandler[*discoveryv1.EndpointSlice, reconcile.Request] {
	look := func(ctx context.Context, q queue, s *discoveryv1.EndpointSlice) {
		var svc corev1.Service
		key := client.ObjectKey{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]}
		if key.Name == "" || b.config.Cache.Get(ctx, key, &svc, client.UnsafeDisableDeepCopy) != nil {
			return // it wakes by itself when it comes
		}
		if balanced(&svc) && onlyLocal(&svc) {
			q.Add(request(&svc))
		}
	}
	return handler.TypedFuncs[*discoveryv1.EndpointSlice, reconcile.Request]{
		CreateFunc: func(ctx context.Context, e event.TypedCreateEvent[*discoveryv1.EndpointSlice], q queue) {
			look(ctx, q, e.Object)
		},
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[*discoveryv1.EndpointSlice], q queue) {
			look(ctx, q, e.ObjectNew)
		},
		DeleteFunc: func(ctx context.Context, e event.TypedDeleteEvent[*discoveryv1.EndpointSlice], q queue) {
			look(ctx, q, e.Object)
		},
	}
}
