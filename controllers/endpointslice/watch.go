package endpointslice

import (
	"context"
	"maps"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	nodeapi "github.com/coracle-k8s/coracle/apis/core/node"
	"github.com/coracle-k8s/coracle/controllers/internal/servicepods"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// SetupWithManager wakes the reconciler for Services, for Pods whose endpoint
// changed, for EndpointSlices that differ from its own writes, and, when a
// node's zone or fitness for hints changed, for the Services that are concerned.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named(Name).
		For(&corev1.Service{}).
		WatchesRawSource(source.Kind(mgr.GetCache(), &corev1.Pod{}, servicepods.Handler(mgr.GetCache(), r.pacer))).
		WatchesRawSource(source.Kind(mgr.GetCache(), &discoveryv1.EndpointSlice{}, r.sliceHandler())).
		WatchesRawSource(source.Kind(mgr.GetCache(), &corev1.Node{}, r.nodeHandler())).
		WithOptions(opts).
		Complete(r)
}

// sliceHandler enqueues the Service of a slice that another client changed, and
// records that this controller's own writes have arrived.
func (r *Reconciler) sliceHandler() handler.TypedEventHandler[*discoveryv1.EndpointSlice, reconcile.Request] {
	managed := func(s *discoveryv1.EndpointSlice) bool { return s.Labels[discoveryv1.LabelManagedBy] == ManagedBy }
	add := func(q queue, s *discoveryv1.EndpointSlice) {
		if name := s.Labels[discoveryv1.LabelServiceName]; name != "" {
			key := types.NamespacedName{Namespace: s.Namespace, Name: name}
			q.AddAfter(reconcile.Request{NamespacedName: key}, r.pacer.Delay(key, false))
		}
	}
	return handler.TypedFuncs[*discoveryv1.EndpointSlice, reconcile.Request]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[*discoveryv1.EndpointSlice], q queue) {
			if managed(e.Object) && (r.written.ShouldSync(e.Object) || r.awaited(e.Object)) {
				add(q, e.Object)
			}
		},
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[*discoveryv1.EndpointSlice], q queue) {
			before, after := e.ObjectOld, e.ObjectNew
			switch {
			case managed(before) != managed(after),
				before.Labels[discoveryv1.LabelServiceName] != after.Labels[discoveryv1.LabelServiceName]:
				add(q, before)
				add(q, after)
			case managed(after) && (r.written.ShouldSync(after) || r.awaited(after) || !maps.Equal(before.Labels, after.Labels)):
				add(q, after)
			}
		},
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[*discoveryv1.EndpointSlice], q queue) {
			if !managed(e.Object) {
				return
			}
			surprise := r.written.Has(e.Object) && !r.written.HandleDeletion(e.Object)
			if surprise || r.awaited(e.Object) {
				add(q, e.Object)
			}
		},
	}
}

// awaited reports whether a plan waits for the cache to see a slice.
func (r *Reconciler) awaited(s *discoveryv1.EndpointSlice) bool {
	_, waiting := r.waiting.Load(types.NamespacedName{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]})
	return waiting
}

// nodeHandler notes that the topology cache's nodes are out of date, and wakes
// the Services that depend on them: those with hints by topology, and, if a
// node moved to another zone, all.
func (r *Reconciler) nodeHandler() handler.TypedEventHandler[*corev1.Node, reconcile.Request] {
	zoned := func(n *corev1.Node) bool { return n.Labels[corev1.LabelTopologyZone] != "" }
	return handler.TypedFuncs[*corev1.Node, reconcile.Request]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[*corev1.Node], q queue) {
			if zoned(e.Object) {
				r.wake(q, r.auto.nodesChanged())
			}
		},
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[*corev1.Node], q queue) {
			if topologyView(e.ObjectOld) != topologyView(e.ObjectNew) {
				r.wake(q, r.auto.nodesChanged())
			}
			if e.ObjectOld.Labels[corev1.LabelTopologyZone] != e.ObjectNew.Labels[corev1.LabelTopologyZone] {
				r.wake(q, r.everyService(ctx))
			}
		},
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[*corev1.Node], q queue) {
			if zoned(e.Object) {
				r.wake(q, r.auto.nodesChanged())
			}
		},
	}
}

func (r *Reconciler) wake(q queue, services []types.NamespacedName) {
	for _, key := range services {
		q.AddAfter(reconcile.Request{NamespacedName: key}, r.pacer.Delay(key, false))
	}
}

func (r *Reconciler) everyService(ctx context.Context) []types.NamespacedName {
	var services corev1.ServiceList
	if err := r.client.List(ctx, &services, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing services of a node that changed its zone")
		return nil
	}
	keys := make([]types.NamespacedName, len(services.Items))
	for i := range services.Items {
		keys[i] = client.ObjectKeyFromObject(&services.Items[i])
	}
	return keys
}

// view holds the properties of a node that the topology cache uses.
type view struct {
	zone, cpu       string
	ready, excluded bool
}

func topologyView(n *corev1.Node) view {
	v := view{zone: n.Labels[corev1.LabelTopologyZone]}
	if v.zone == "" {
		return view{}
	}
	v.cpu = n.Status.Allocatable.Cpu().String()
	_, v.excluded = n.Labels["node-role.kubernetes.io/control-plane"]
	v.ready = nodeapi.IsReady(n)
	return v
}
