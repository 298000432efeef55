package endpointslicemirroring

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"k8s.io/client-go/util/workqueue"

	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/expect"
)

// Name is the controller's name, as upstream's.
const Name = "endpointslice-mirroring-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "endpoint_slice_mirroring"

// Reconciler mirrors Endpoints. Make it with New.
type Reconciler struct {
	client   client.Client
	recorder record.EventRecorder
	expected *expect.Tracker
	metrics  metrics
}

// New returns a Reconciler.
func New(d controllers.Deps) *Reconciler {
	return &Reconciler{client: d.Client, recorder: d.Recorder("endpoint-slice-mirroring-controller"), expected: expect.New(d.Clock), metrics: newMetrics()}
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// SliceHandler wakes the Endpoints of a mirrored slice, and meets expectations.
// A test without a cache may feed it by hand.
func (r *Reconciler) SliceHandler() handler.TypedEventHandler[*discoveryv1.EndpointSlice, reconcile.Request] {
	wake := func(s *discoveryv1.EndpointSlice, q queue) {
		if name := s.Labels[discoveryv1.LabelServiceName]; name != "" && s.Labels[discoveryv1.LabelManagedBy] == ManagedBy {
			q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: s.Namespace, Name: name}})
		}
	}
	return handler.TypedFuncs[*discoveryv1.EndpointSlice, reconcile.Request]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[*discoveryv1.EndpointSlice], q queue) {
			if ref := metav1.GetControllerOfNoCopy(e.Object); ref != nil {
				r.expected.CreationsObserved(ref.UID, 1)
			}
			wake(e.Object, q)
		},
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[*discoveryv1.EndpointSlice], q queue) {
			wake(e.ObjectOld, q)
			wake(e.ObjectNew, q)
		},
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[*discoveryv1.EndpointSlice], q queue) {
			wake(e.Object, q)
		},
	}
}

// Reconcile mirrors one Endpoints object.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	defer r.metrics.synced(time.Now())
	have, err := r.slices(ctx, req.NamespacedName)
	if err != nil {
		return reconcile.Result{}, err
	}
	e, err := r.mirrored(ctx, req.NamespacedName)
	if err != nil {
		return reconcile.Result{}, err
	}
	if e == nil {
		return reconcile.Result{}, r.delete(ctx, have)
	}
	if !r.expected.Satisfied(e.UID) {
		// A slice that was created is not in the cache yet; its event triggers a reconcile.
		return reconcile.Result{RequeueAfter: expect.Timeout}, nil
	}
	next := plan(e, have)
	r.metrics.planned(next, have)
	if next.Invalid > 0 {
		r.recorder.Eventf(e, corev1.EventTypeWarning, "InvalidIPAddress", "Skipped %d invalid IP addresses when mirroring to EndpointSlices", next.Invalid)
	}
	if next.Skipped > 0 {
		r.recorder.Eventf(e, corev1.EventTypeWarning, "TooManyAddressesToMirror",
			"A max of %d addresses can be mirrored to EndpointSlices per Endpoints subset. %d addresses were skipped", MaxPerSubset, next.Skipped+next.Invalid)
	}
	return reconcile.Result{}, r.apply(ctx, e, next)
}

// mirrored returns nil when nothing is to be mirrored.
func (r *Reconciler) mirrored(ctx context.Context, key types.NamespacedName) (*corev1.Endpoints, error) {
	e, svc := &corev1.Endpoints{}, &corev1.Service{}
	for _, obj := range []client.Object{e, svc} {
		if err := r.client.Get(ctx, key, obj, client.UnsafeDisableDeepCopy); err != nil {
			return nil, client.IgnoreNotFound(err)
		}
	}
	if !Mirrored(e, svc) {
		return nil, nil
	}
	return e, nil
}

func (r *Reconciler) slices(ctx context.Context, key types.NamespacedName) ([]*discoveryv1.EndpointSlice, error) {
	var list discoveryv1.EndpointSliceList
	err := r.client.List(ctx, &list, client.InNamespace(key.Namespace), client.UnsafeDisableDeepCopy,
		client.MatchingLabels{discoveryv1.LabelServiceName: key.Name, discoveryv1.LabelManagedBy: ManagedBy})
	if err != nil {
		return nil, fmt.Errorf("listing EndpointSlices: %w", err)
	}
	var out []*discoveryv1.EndpointSlice
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp == nil {
			out = append(out, &list.Items[i])
		}
	}
	return out, nil
}

func (r *Reconciler) apply(ctx context.Context, e *corev1.Endpoints, plan Plan) error {
	for _, s := range plan.Create {
		if e.DeletionTimestamp != nil {
			break
		}
		r.expected.ExpectCreations(e.UID, 1)
		if err := r.client.Create(ctx, s); err != nil {
			r.expected.CreationsObserved(e.UID, 1)
			if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
				return nil
			}
			r.fail(e, err)
			return fmt.Errorf("creating an EndpointSlice: %w", err)
		}
		r.metrics.wrote("create")
	}
	for _, s := range plan.Update {
		// After a conflict the other write's event triggers a reconcile.
		if err := r.client.Update(ctx, s); client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
			r.fail(e, err)
			return fmt.Errorf("updating EndpointSlice %s: %w", s.Name, err)
		}
		r.metrics.wrote("update")
	}
	return r.delete(ctx, plan.Delete)
}

func (r *Reconciler) fail(e *corev1.Endpoints, err error) {
	r.recorder.Eventf(e, corev1.EventTypeWarning, "FailedToUpdateEndpointSlices", "Error updating Endpoint Slices for Endpoints %s/%s: %v", e.Namespace, e.Name, err)
}

func (r *Reconciler) delete(ctx context.Context, all []*discoveryv1.EndpointSlice) error {
	for _, s := range all {
		gone := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name}}
		err := r.client.Delete(ctx, gone, client.Preconditions{UID: &s.UID})
		if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
			return fmt.Errorf("deleting EndpointSlice %s: %w", s.Name, err)
		}
		r.metrics.wrote("delete")
	}
	return nil
}
