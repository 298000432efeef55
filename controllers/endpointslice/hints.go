package endpointslice

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/endpointslice/topologycache"
	"k8s.io/endpointslice/trafficdist"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// hint decides the hints of all slices of one family: by the deprecated
// annotation service.kubernetes.io/topology-mode if it is "Auto", else by
// spec.trafficDistribution, else there are none.
func (r *Reconciler) hint(ctx context.Context, svc *corev1.Service, family discoveryv1.AddressType, c *changes) error {
	logger := log.FromContext(ctx)
	si := &topologycache.SliceInfo{
		ServiceKey:  svc.Namespace + "/" + svc.Name,
		AddressType: family,
		ToCreate:    c.create,
		ToUpdate:    owned(c.update),
		Unchanged:   c.unchanged,
	}
	if topologyAuto(svc) {
		if err := r.refreshTopology(ctx, client.ObjectKeyFromObject(svc)); err != nil {
			return err
		}
		var events []*topologycache.EventBuilder
		c.create, c.update, events = r.topology.AddHints(logger, si)
		c.unchanged = si.Unchanged
		for _, e := range events {
			r.recorder.Event(svc, e.EventType, e.Reason, e.Message)
		}
		return nil
	}
	if r.topology.HasPopulatedHints(si.ServiceKey) {
		r.recorder.Event(svc, corev1.EventTypeWarning, reasonHintsDisabled,
			topologycache.FormatWithAddressType(topologycache.TopologyAwareHintsDisabled, family))
	}
	r.topology.RemoveHints(si.ServiceKey, family)
	r.auto.forget(client.ObjectKeyFromObject(svc))
	c.create, c.update, c.unchanged = trafficdist.ReconcileHints(svc.Spec.TrafficDistribution, c.create, si.ToUpdate, c.unchanged)
	return nil
}

// refreshTopology records that svc depends on the nodes' topology, and passes
// the nodes to the topology cache if they changed since the last time.
func (r *Reconciler) refreshTopology(ctx context.Context, svc types.NamespacedName) error {
	if !r.auto.use(svc) {
		return nil
	}
	var nodes corev1.NodeList
	if err := r.client.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		r.auto.nodesChanged()
		return fmt.Errorf("listing nodes for topology hints: %w", err)
	}
	r.topology.SetNodes(log.FromContext(ctx), pointers(nodes.Items))
	return nil
}

// autoServices are the Services with hints by topology, so that a node's event
// costs nothing when there are none. It is safe for concurrent use.
type autoServices struct {
	mu    sync.Mutex
	keys  map[types.NamespacedName]bool
	fresh bool
}

// use adds svc and reports whether the nodes have to be read; it counts as read.
func (a *autoServices) use(svc types.NamespacedName) (read bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys[svc] = true
	read, a.fresh = !a.fresh, true
	return read
}

func (a *autoServices) forget(svc types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.keys, svc)
}

// nodesChanged makes the next use read the nodes, and returns the Services to
// look at again.
func (a *autoServices) nodesChanged() []types.NamespacedName {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fresh = false
	return slices.Collect(maps.Keys(a.keys))
}

// owned gives slices their own endpoints: the hints are written into them.
func owned(update []*discoveryv1.EndpointSlice) []*discoveryv1.EndpointSlice {
	for _, s := range update {
		s.Endpoints = append(make([]discoveryv1.Endpoint, 0, len(s.Endpoints)), s.Endpoints...)
	}
	return update
}

func topologyAuto(svc *corev1.Service) bool {
	mode, ok := svc.Annotations[corev1.DeprecatedAnnotationTopologyAwareHints]
	if !ok {
		mode = svc.Annotations[corev1.AnnotationTopologyMode]
	}
	return mode == "Auto" || mode == "auto"
}
