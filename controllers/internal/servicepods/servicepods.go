// Package servicepods finds which Services a change of a Pod concerns, and how soon
// they are to be looked at again. The endpoints and endpointslice controllers share it.
//
// A Service with many pods gets many events in bursts, and one look at it costs time in
// proportion to its pods. The Pacer therefore lets the first event through at once and
// makes the next wait for a pause in proportion to the size of the Service: n pods becoming
// ready one after another cost O(n) looks times a constant, not n looks at n pods.
//
// The API of this package is not stable: see docs/api.md.
package servicepods

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	endpointsliceutil "k8s.io/endpointslice/util"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	// minPause is the pause after a look at a Service without endpoints.
	minPause = 10 * time.Millisecond
	// pausePerEndpoint makes the pause long against the cost of a look, which
	// was about 10 µs per endpoint including its share of the writes.
	pausePerEndpoint = 100 * time.Microsecond
	// maxPause bounds how old the endpoints of a huge Service may get.
	maxPause = time.Second
	// urgentDivisor shortens the pause when an endpoint must leave the rotation.
	urgentDivisor = 4
)

// Pacer spaces the looks at each Service. It is safe for concurrent use.
type Pacer struct {
	clock clock.PassiveClock

	mu   sync.Mutex
	last map[types.NamespacedName]look
}

type look struct {
	at        time.Time
	endpoints int
}

// NewPacer returns a Pacer that has seen no Service yet.
func NewPacer(clk clock.PassiveClock) *Pacer {
	return &Pacer{clock: clk, last: map[types.NamespacedName]look{}}
}

// Looked records that the Service has just been looked at and had that many
// endpoints.
func (p *Pacer) Looked(svc types.NamespacedName, endpoints int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last[svc] = look{at: p.clock.Now(), endpoints: endpoints}
}

// Forget drops what is known of a Service that is gone.
func (p *Pacer) Forget(svc types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.last, svc)
}

// Delay returns how long an event of the Service has to wait, 0 for not at all.
// An urgent event takes an endpoint out of the rotation.
func (p *Pacer) Delay(svc types.NamespacedName, urgent bool) time.Duration {
	p.mu.Lock()
	l, known := p.last[svc]
	p.mu.Unlock()
	if !known {
		return 0
	}
	pause := min(minPause+time.Duration(l.endpoints)*pausePerEndpoint, maxPause)
	if urgent {
		pause /= urgentDivisor
	}
	return max(0, l.at.Add(pause).Sub(p.clock.Now()))
}

// Handler returns an event handler for Pods that enqueues the Services a pod
// matters to, at the pacer's pace. Services are read through r, which is
// expected to be a cache.
func Handler(r client.Reader, pacer *Pacer) handler.TypedEventHandler[*corev1.Pod, reconcile.Request] {
	h := podHandler{services: r, pacer: pacer}
	return handler.TypedFuncs[*corev1.Pod, reconcile.Request]{
		CreateFunc: func(ctx context.Context, e event.TypedCreateEvent[*corev1.Pod], q queue) {
			if endpointsliceutil.ShouldPodBeInEndpoints(e.Object, true) {
				h.enqueue(ctx, q, e.Object.Namespace, false, e.Object.Labels)
			}
		},
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[*corev1.Pod], q queue) {
			c := Compare(e.ObjectOld, e.ObjectNew)
			switch {
			case c.Labels:
				h.enqueue(ctx, q, e.ObjectNew.Namespace, true, e.ObjectOld.Labels, e.ObjectNew.Labels)
			case c.Endpoint:
				h.enqueue(ctx, q, e.ObjectNew.Namespace, c.Leaves, e.ObjectNew.Labels)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.TypedDeleteEvent[*corev1.Pod], q queue) {
			h.enqueue(ctx, q, e.Object.Namespace, true, e.Object.Labels)
		},
	}
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

type podHandler struct {
	services client.Reader
	pacer    *Pacer
}

func (h podHandler) enqueue(ctx context.Context, q queue, namespace string, urgent bool, podLabels ...map[string]string) {
	var list corev1.ServiceList
	if err := h.services.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing services of a pod's namespace", "namespace", namespace)
		return
	}
	for i := range list.Items {
		svc := &list.Items[i]
		if !slices.ContainsFunc(podLabels, func(l map[string]string) bool { return Selects(svc, l) }) {
			continue
		}
		key := types.NamespacedName{Namespace: namespace, Name: svc.Name}
		q.AddAfter(reconcile.Request{NamespacedName: key}, h.pacer.Delay(key, urgent))
	}
}

// Selects reports whether the Service selects pods with these labels. A Service
// without a selector selects none: this controller does not write its endpoints.
func Selects(svc *corev1.Service, podLabels map[string]string) bool {
	if len(svc.Spec.Selector) == 0 || svc.Spec.Type == corev1.ServiceTypeExternalName {
		return false
	}
	for k, v := range svc.Spec.Selector {
		if got, ok := podLabels[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// Change holds which properties of a pod that Services use have changed.
type Change struct {
	// Labels: the Services that select the pod may differ, or its name in one. They always do
	// for another pod of the same name, whose predecessor's end the watch may have missed.
	Labels bool
	// Endpoint: the pod's endpoint differs.
	Endpoint bool
	// Leaves: the endpoint stops taking new connections.
	Leaves bool
}

// Compare returns what differs between two states of one pod.
func Compare(before, after *corev1.Pod) Change {
	c := Change{
		Labels: before.UID != after.UID || !maps.Equal(before.Labels, after.Labels) ||
			before.Spec.Hostname != after.Spec.Hostname || before.Spec.Subdomain != after.Spec.Subdomain,
	}
	was, is := rotation(before), rotation(after)
	c.Endpoint = was != is ||
		!slices.EqualFunc(before.Status.PodIPs, after.Status.PodIPs, func(a, b corev1.PodIP) bool { return a.IP == b.IP })
	c.Leaves = was.takesTraffic() && !is.takesTraffic()
	return c
}

// state holds the properties of a pod that decide how its endpoint is listed.
type state struct {
	listed, ready, terminating bool
	node                       string
}

func rotation(p *corev1.Pod) state {
	return state{
		listed:      endpointsliceutil.ShouldPodBeInEndpoints(p, true),
		ready:       endpointsliceutil.IsPodReady(p),
		terminating: p.DeletionTimestamp != nil,
		node:        p.Spec.NodeName,
	}
}

func (s state) takesTraffic() bool { return s.listed && s.ready && !s.terminating }
