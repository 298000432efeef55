package endpointslice

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/endpointslice/topologycache"
	endpointsliceutil "k8s.io/endpointslice/util"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/servicepods"
	"github.com/coracle-k8s/coracle/controllers/internal/slowstart"
)

// Name is the controller's name, as upstream's.
const Name = "endpointslice-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "endpoint_slice"

// DefaultMaxEndpointsPerSlice is upstream's default of
// --max-endpoints-per-slice.
const DefaultMaxEndpointsPerSlice = 100

// Config holds the dependencies and settings of a Reconciler.
type Config struct {
	// MaxEndpointsPerSlice is from 1 to 1000; 0 means
	// DefaultMaxEndpointsPerSlice.
	MaxEndpointsPerSlice int
}

// Reconciler keeps the slices of one Service. A request names a Service.
type Reconciler struct {
	client   client.Client
	recorder record.EventRecorder
	max      int
	pacer    *servicepods.Pacer
	written  *endpointsliceutil.EndpointSliceTracker
	triggers *endpointsliceutil.TriggerTimeTracker
	topology *topologycache.TopologyCache
	auto     autoServices
	metrics  metrics
	// waiting holds the names of Services whose plan waits for the cache to
	// show this controller's own writes.
	waiting sync.Map
}

// New returns a Reconciler.
func New(d controllers.Deps, c Config) *Reconciler {
	if c.MaxEndpointsPerSlice == 0 {
		c.MaxEndpointsPerSlice = DefaultMaxEndpointsPerSlice
	}
	return &Reconciler{
		client:   d.Client,
		recorder: d.Recorder("endpoint-slice-controller"),
		max:      c.MaxEndpointsPerSlice,
		pacer:    servicepods.NewPacer(d.Clock),
		written:  endpointsliceutil.NewEndpointSliceTracker(),
		triggers: endpointsliceutil.NewTriggerTimeTracker(),
		topology: topologycache.NewTopologyCache(),
		auto:     autoServices{keys: map[types.NamespacedName]bool{}},
		metrics:  newMetrics(),
	}
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var svc corev1.Service
	err := r.client.Get(ctx, req.NamespacedName, &svc, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		r.forget(req.NamespacedName)
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("getting service %s: %w", req, err)
	}
	if len(svc.Spec.Selector) == 0 || svc.Spec.Type == corev1.ServiceTypeExternalName {
		return reconcile.Result{}, nil
	}
	// Recorded before the cache is read: an own write that arrives after that
	// triggers the next reconcile.
	r.waiting.Store(req.NamespacedName, true)
	o, err := r.observe(ctx, &svc)
	if err != nil {
		return reconcile.Result{}, err
	}
	if r.written.StaleSlices(&svc, o.slices) {
		r.metrics.syncs.WithLabelValues("stale").Inc()
		return reconcile.Result{RequeueAfter: staleRetry}, nil
	}
	r.waiting.Delete(req.NamespacedName)
	trigger := r.triggers.ComputeEndpointLastChangeTriggerTime(svc.Namespace, &svc, o.pods)
	var errs []error
	missing := false
	planned := plan(o)
	for family, c := range planned {
		missing = missing || c.missingNodes
		if err := r.hint(ctx, &svc, family, c); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, r.apply(ctx, &svc, c, trigger))
	}
	r.pacer.Looked(req.NamespacedName, len(o.pods))
	err = errors.Join(errs...)
	r.metrics.synced(o, planned, err)
	if err != nil {
		r.recorder.Eventf(&svc, corev1.EventTypeWarning, reasonUpdateFailed, messageUpdateFailed, svc.Namespace, svc.Name, err)
		return reconcile.Result{}, err
	}
	if missing {
		// A node's creation wakes only what watches zones; this is rare enough
		// to look again.
		return reconcile.Result{RequeueAfter: missingNodeRetry}, nil
	}
	return reconcile.Result{}, nil
}

const (
	// staleRetry is for events that get lost; the others trigger a reconcile.
	staleRetry       = time.Second
	missingNodeRetry = time.Second
)

func (r *Reconciler) forget(svc types.NamespacedName) {
	r.pacer.Forget(svc)
	r.auto.forget(svc)
	r.waiting.Delete(svc)
	r.written.DeleteService(svc.Namespace, svc.Name)
	r.triggers.DeleteService(svc.Namespace, svc.Name)
	for _, family := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6} {
		r.topology.RemoveHints(svc.String(), family)
	}
}

func (r *Reconciler) observe(ctx context.Context, svc *corev1.Service) (observed, error) {
	o := observed{service: svc, max: r.max, zones: map[string]string{}}
	var pods corev1.PodList
	if err := r.client.List(ctx, &pods, client.InNamespace(svc.Namespace), client.MatchingLabels(svc.Spec.Selector), client.UnsafeDisableDeepCopy); err != nil {
		return o, fmt.Errorf("listing pods of service %s/%s: %w", svc.Namespace, svc.Name, err)
	}
	o.pods = pointers(pods.Items)
	var list discoveryv1.EndpointSliceList
	if err := r.client.List(ctx, &list, client.InNamespace(svc.Namespace), client.MatchingLabels{
		discoveryv1.LabelServiceName: svc.Name, discoveryv1.LabelManagedBy: ManagedBy,
	}, client.UnsafeDisableDeepCopy); err != nil {
		return o, fmt.Errorf("listing endpoint slices of service %s/%s: %w", svc.Namespace, svc.Name, err)
	}
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp.IsZero() {
			o.slices = append(o.slices, &list.Items[i])
		}
	}
	for _, pod := range o.pods {
		name := pod.Spec.NodeName
		if _, seen := o.zones[name]; seen || name == "" {
			continue
		}
		var node corev1.Node
		switch err := r.client.Get(ctx, types.NamespacedName{Name: name}, &node, client.UnsafeDisableDeepCopy); {
		case err == nil:
			o.zones[name] = node.Labels[corev1.LabelTopologyZone]
		case !apierrors.IsNotFound(err):
			return o, fmt.Errorf("getting node %s: %w", name, err)
		}
	}
	return o, nil
}

func pointers[T any](items []T) []*T {
	out := make([]*T, len(items))
	for i := range items {
		out[i] = &items[i]
	}
	return out
}

// apply writes the changes; new slices first, so that no endpoint is missing
// while it moves. Writes of one kind go side by side: a hundred slices then share
// their fsyncs. The Service's own deletion takes its slices with it.
func (r *Reconciler) apply(ctx context.Context, svc *corev1.Service, c *changes, trigger time.Time) error {
	if svc.DeletionTimestamp == nil {
		_, err := slowstart.All(len(c.create), func(i int) error { return r.create(ctx, svc, c.create[i], trigger) })
		if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	if _, err := slowstart.All(len(c.update), func(i int) error { return r.update(ctx, c.update[i], trigger) }); err != nil {
		return err
	}
	_, err := slowstart.All(len(c.remove), func(i int) error { return r.remove(ctx, c.remove[i]) })
	return err
}

func (r *Reconciler) create(ctx context.Context, svc *corev1.Service, s *discoveryv1.EndpointSlice, trigger time.Time) error {
	stamp(s, trigger)
	if err := r.client.Create(ctx, s); err != nil {
		return fmt.Errorf("creating an endpoint slice of service %s/%s: %w", svc.Namespace, svc.Name, err)
	}
	r.written.Update(s)
	return nil
}

func (r *Reconciler) update(ctx context.Context, s *discoveryv1.EndpointSlice, trigger time.Time) error {
	stamp(s, trigger)
	if err := r.client.Update(ctx, s); err != nil {
		return fmt.Errorf("updating endpoint slice %s/%s: %w", s.Namespace, s.Name, err)
	}
	r.written.Update(s)
	return nil
}

func (r *Reconciler) remove(ctx context.Context, s *discoveryv1.EndpointSlice) error {
	err := r.client.Delete(ctx, s.DeepCopy(), client.Preconditions{UID: &s.UID})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting endpoint slice %s/%s: %w", s.Namespace, s.Name, err)
	}
	if err == nil {
		r.written.ExpectDeletion(s)
	}
	return nil
}

// stamp notes when the change happened that this write publishes, for the
// measurement of network programming latency.
func stamp(s *discoveryv1.EndpointSlice, trigger time.Time) {
	if trigger.IsZero() {
		delete(s.Annotations, corev1.EndpointsLastChangeTriggerTime)
		return
	}
	if s.Annotations == nil {
		s.Annotations = map[string]string{}
	}
	s.Annotations[corev1.EndpointsLastChangeTriggerTime] = trigger.UTC().Format(time.RFC3339Nano)
}
