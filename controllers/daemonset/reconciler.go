package daemonset

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/claim"
	"github.com/coracle-k8s/coracle/controllers/internal/expect"
	"github.com/coracle-k8s/coracle/controllers/internal/history"
	"github.com/coracle-k8s/coracle/controllers/internal/owned"
	"github.com/coracle-k8s/coracle/controllers/internal/pace"
)

// Name is the controller's name, as upstream's.
const Name = "daemonset-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "daemonset"

const (
	// podEventInterval is how often the events of pods and nodes may wake a set.
	podEventInterval = 40 * time.Millisecond
	// perNode lengthens it: a look at a node costs a microsecond or two.
	perNode = 100 * time.Microsecond
)

// Reconciler reconciles DaemonSets. Make it with New.
type Reconciler struct {
	client   client.Client
	live     client.Reader
	clock    clock.Clock
	recorder record.EventRecorder
	expected *expect.Tracker
	pacer    *pace.Pacer
	backoff  *backoff
}

// New returns a Reconciler.
func New(d controllers.Deps) *Reconciler {
	return &Reconciler{
		client: d.Client, live: d.Live, clock: d.Clock, recorder: d.Recorder(Name),
		expected: expect.New(d.Clock),
		pacer:    pace.New(d.Clock, podEventInterval),
		backoff:  newBackoff(),
	}
}

// Reconcile takes one DaemonSet one step further.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	r.pacer.Mark(req)
	set := &appsv1.DaemonSet{}
	if err := r.client.Get(ctx, req.NamespacedName, set, client.UnsafeDisableDeepCopy); err != nil {
		if apierrors.IsNotFound(err) {
			r.pacer.Forget(req)
		}
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if s := set.Spec.Selector; s == nil || len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		r.recorder.Event(set, corev1.EventTypeWarning, reasonSelectingAll, selectingAllMessage)
		return reconcile.Result{}, nil
	}
	if set.DeletionTimestamp != nil {
		return reconcile.Result{}, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil {
		// Validation rejects such objects; retrying would not help.
		log.FromContext(ctx).V(1).Info("unusable selector", "error", err)
		return reconcile.Result{}, nil
	}
	o, old, err := r.observe(ctx, set, selector)
	if err != nil {
		return reconcile.Result{}, err
	}
	r.pacer.MarkFor(req, podEventInterval+perNode*time.Duration(len(o.Nodes)))
	next := plan(o, r.clock.Now())
	failure := r.apply(ctx, set, next)
	if err := r.writeStatus(ctx, set, next.Status); err != nil && !apierrors.IsConflict(err) {
		return reconcile.Result{}, errors.Join(failure, err)
	}
	if failure == nil && o.Settled {
		failure = r.store(set, selector).Delete(ctx, history.Excess(old, live(o.Pods), set.Spec.RevisionHistoryLimit))
	}
	if !o.Settled && next.RequeueAfter == 0 {
		// Should a watch event be lost, nothing else would trigger a reconcile.
		next.RequeueAfter = expect.Timeout
	}
	return reconcile.Result{RequeueAfter: next.RequeueAfter}, failure
}

// observe asks whether expectations are met before it lists, not after:
// otherwise the events that meet them could arrive in between. It also returns
// the set's old revisions.
func (r *Reconciler) observe(ctx context.Context, set *appsv1.DaemonSet, selector labels.Selector) (Observed, []*appsv1.ControllerRevision, error) {
	o := Observed{Set: set, Settled: r.expected.Satisfied(set.UID), NotBefore: r.backoff.notBefore(set.UID, set.Generation, r.clock.Now())}
	var nodes corev1.NodeList
	var err error
	if o.Nodes, err = owned.List(ctx, r.client, &nodes, &nodes.Items); err != nil {
		return o, nil, err
	}
	claimer := &claim.Claimer{Client: r.client, Live: r.live, Owner: set, GVK: kind, Selector: selector}
	if o.Pods, err = owned.Pods(ctx, claimer, nil); err != nil {
		return o, nil, fmt.Errorf("claiming pods: %w", err)
	}
	current, old, err := r.revisions(ctx, set, selector, o.Pods)
	if err != nil {
		return o, nil, err
	}
	o.Hash = current.Labels[appsv1.DefaultDaemonSetUniqueLabelKey]
	return o, old, nil
}

func (r *Reconciler) apply(ctx context.Context, set *appsv1.DaemonSet, plan Plan) error {
	for _, e := range plan.Events {
		r.recorder.Event(set, e.Type, e.Reason, e.Message)
	}
	for _, node := range plan.Failed {
		r.backoff.failed(set.UID, set.Generation, node, r.clock.Now())
	}
	pods := owned.Control{Client: r.client, Expected: r.expected, Owner: set.UID, Told: owned.Events{Recorder: r.recorder, About: set}}
	_, failedCreate := pods.Create(ctx, len(plan.Create), func(i int) *corev1.Pod { return newPod(set, plan.hash, plan.Create[i]) })
	_, failedDelete := pods.Delete(ctx, plan.Delete)
	return errors.Join(failedCreate, failedDelete)
}

func (r *Reconciler) writeStatus(ctx context.Context, set *appsv1.DaemonSet, status appsv1.DaemonSetStatus) error {
	if apiequality.Semantic.DeepEqual(set.Status, status) {
		return nil
	}
	updated := set.DeepCopy()
	updated.Status = status
	if err := r.client.Status().Update(ctx, updated); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing status: %w", err)
	}
	return nil
}
