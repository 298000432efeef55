package disruption

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/pace"
)

// Name is the controller's name, as upstream's.
const Name = "disruption-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "disruption"

// Names of the controller that resets stale conditions of pods, and of its queue in
// metrics, as upstream's.
const (
	StalePodsName      = Name + "-stale-pods"
	StalePodsQueueName = "stale_pod_disruption"
)

// podEventInterval is how often the events of its pods may wake a budget.
const podEventInterval = 40 * time.Millisecond

// Reconciler reconciles PodDisruptionBudgets. Make it with New.
type Reconciler struct {
	client   client.Client
	clock    clock.Clock
	recorder record.EventRecorder
	pacer    *pace.Pacer
}

// New returns a Reconciler.
func New(d controllers.Deps) *Reconciler {
	return &Reconciler{client: d.Client, clock: d.Clock, recorder: d.Recorder("controllermanager"), pacer: pace.New(d.Clock, podEventInterval)}
}

// Reconcile brings one budget's status up to date.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	r.pacer.Mark(req)
	b := &policyv1.PodDisruptionBudget{}
	if err := r.client.Get(ctx, req.NamespacedName, b, client.UnsafeDisableDeepCopy); err != nil {
		if apierrors.IsNotFound(err) {
			r.pacer.Forget(req)
		}
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	o, err := r.observe(ctx, b)
	if err != nil {
		return reconcile.Result{}, err
	}
	next := plan(o, r.clock.Now())
	for _, e := range next.Events {
		r.recorder.Event(b, e.Type, e.Reason, e.Message)
	}
	for _, pod := range next.Overdue {
		r.recorder.Eventf(pod, corev1.EventTypeWarning, "NotDeleted", "Pod was expected by PDB %s/%s to be deleted but it wasn't", b.Namespace, b.Name)
	}
	if !apiequality.Semantic.DeepEqual(b.Status, next.Status) {
		updated := b.DeepCopy()
		updated.Status = next.Status
		// A conflict is an eviction that was granted meanwhile; its event triggers a reconcile.
		if err := r.client.Status().Update(ctx, updated); client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
			return reconcile.Result{}, fmt.Errorf("writing status: %w", err)
		}
	}
	if next.Failure != nil {
		// A pod may be in the cache before its controller, whose arrival
		// triggers no reconcile.
		return reconcile.Result{}, fmt.Errorf("counting the pods that there should be: %w", next.Failure)
	}
	return reconcile.Result{RequeueAfter: next.RequeueAfter}, nil
}

func (r *Reconciler) observe(ctx context.Context, b *policyv1.PodDisruptionBudget) (Observed, error) {
	o := Observed{Budget: b}
	selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
	if err != nil {
		o.Failure = err
		return o, nil
	}
	var list corev1.PodList
	if err := r.client.List(ctx, &list, client.InNamespace(b.Namespace), client.MatchingLabelsSelector{Selector: selector}, client.UnsafeDisableDeepCopy); err != nil {
		return o, fmt.Errorf("listing pods: %w", err)
	}
	for i := range list.Items {
		o.Pods = append(o.Pods, &list.Items[i])
	}
	if NeedsScale(b) {
		o.Scales, o.Failure = r.scales(ctx, b.Namespace, o.Pods)
	}
	return o, nil
}
