package endpoints

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/record"
	endpointsliceutil "k8s.io/endpointslice/util"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/servicepods"
)

// Name is the controller's name, as upstream's.
const Name = "endpoints-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "endpoint"

// Reconciler keeps the Endpoints of one Service. A request names a Service,
// which is the name of its Endpoints too.
type Reconciler struct {
	client   client.Client
	recorder record.EventRecorder
	pacer    *servicepods.Pacer
	triggers *endpointsliceutil.TriggerTimeTracker
	// deleted are the Services whose deletion was seen and whose Endpoints may be left.
	mu      sync.Mutex
	deleted sets.Set[types.NamespacedName]
}

// New returns a Reconciler.
func New(d controllers.Deps) *Reconciler {
	return &Reconciler{
		client: d.Client, recorder: d.Recorder("endpoint-controller"),
		pacer:    servicepods.NewPacer(d.Clock),
		triggers: endpointsliceutil.NewTriggerTimeTracker(),
		deleted:  sets.New[types.NamespacedName](),
	}
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	existing := &corev1.Endpoints{}
	err := r.client.Get(ctx, req.NamespacedName, existing, client.UnsafeDisableDeepCopy)
	switch {
	case apierrors.IsNotFound(err):
		existing = nil
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("getting endpoints %s: %w", req, err)
	}
	var svc corev1.Service
	err = r.client.Get(ctx, req.NamespacedName, &svc, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		r.pacer.Forget(req.NamespacedName)
		r.triggers.DeleteService(req.Namespace, req.Name)
		return reconcile.Result{}, r.remove(ctx, req.NamespacedName, existing)
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("getting service %s: %w", req, err)
	}
	r.forget(req.NamespacedName)
	if len(svc.Spec.Selector) == 0 || svc.Spec.Type == corev1.ServiceTypeExternalName || svc.DeletionTimestamp != nil {
		return reconcile.Result{}, nil
	}
	pods, err := r.pods(ctx, &svc)
	if err != nil {
		return reconcile.Result{}, err
	}
	trigger := r.triggers.ComputeEndpointLastChangeTriggerTime(svc.Namespace, &svc, pods)
	write, create := plan(&svc, pods, existing, trigger)
	r.pacer.Looked(req.NamespacedName, len(pods))
	if write == nil {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, r.write(ctx, &svc, write, create)
}

func (r *Reconciler) pods(ctx context.Context, svc *corev1.Service) ([]*corev1.Pod, error) {
	var list corev1.PodList
	if err := r.client.List(ctx, &list, client.InNamespace(svc.Namespace), client.MatchingLabels(svc.Spec.Selector), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing pods of service %s/%s: %w", svc.Namespace, svc.Name, err)
	}
	pods := make([]*corev1.Pod, len(list.Items))
	for i := range list.Items {
		pods[i] = &list.Items[i]
	}
	return pods, nil
}

// serviceDeleted records that a Service was deleted.
func (r *Reconciler) serviceDeleted(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deleted.Insert(name)
}

func (r *Reconciler) wasDeleted(name types.NamespacedName) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.deleted.Has(name)
}

func (r *Reconciler) forget(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deleted.Delete(name)
}

// remove deletes the Endpoints of a Service that does not exist. If the deletion of
// the Service was seen, it deletes those that users wrote too. Otherwise these stay:
// users may create Endpoints before their Service, and the cache may have them first.
// The record of a leader election stays in any case.
func (r *Reconciler) remove(ctx context.Context, name types.NamespacedName, e *corev1.Endpoints) error {
	deleted := r.wasDeleted(name)
	var options []client.DeleteOption
	switch {
	case e == nil && !deleted:
		return nil
	case e == nil: // the cache may not have them yet
	case e.Annotations[resourcelock.LeaderElectionRecordAnnotationKey] != "":
		r.forget(name)
		return nil
	case e.Labels[labelManagedBy] != managedBy && !deleted:
		return nil
	default:
		options = append(options, client.Preconditions{UID: &e.UID})
	}
	err := r.client.Delete(ctx, &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}}, options...)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting endpoints %s: %w", name, err)
	}
	r.forget(name)
	return nil
}

func (r *Reconciler) write(ctx context.Context, svc *corev1.Service, e *corev1.Endpoints, create bool) error {
	var err error
	if create {
		err = r.client.Create(ctx, e)
	} else {
		err = r.client.Update(ctx, e)
	}
	switch {
	case err == nil, apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause),
		apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		// The last two: the cache is behind, and the event that it lacks triggers a reconcile.
		return nil
	case create:
		r.recorder.Eventf(reference(svc), corev1.EventTypeWarning, reasonCreateFailed, messageCreateFailed, svc.Namespace, svc.Name, err)
		return fmt.Errorf("creating endpoints %s/%s: %w", e.Namespace, e.Name, err)
	default:
		r.recorder.Eventf(reference(svc), corev1.EventTypeWarning, reasonUpdateFailed, messageUpdateFailed, svc.Namespace, svc.Name, err)
		return fmt.Errorf("updating endpoints %s/%s: %w", e.Namespace, e.Name, err)
	}
}

func reference(svc *corev1.Service) *corev1.ObjectReference {
	key := types.NamespacedName{Namespace: svc.Namespace, Name: svc.Name}
	return &corev1.ObjectReference{APIVersion: "v1", Kind: "Endpoints", Namespace: key.Namespace, Name: key.Name}
}
