package replicas

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/claim"
	"github.com/coracle-k8s/coracle/controllers/internal/expect"
	"github.com/coracle-k8s/coracle/controllers/internal/owned"
	"github.com/coracle-k8s/coracle/controllers/internal/pace"
)

// podEventInterval is how often the events of its pods may wake an object. A
// pod sends four or five on its way to ready; a status write per event would
// cost more than the pods.
const podEventInterval = 40 * time.Millisecond

// Reconciler keeps the pods of one Kind. Make it with New.
type Reconciler struct {
	kind     Kind
	client   client.Client
	live     client.Reader
	clock    clock.Clock
	recorder record.EventRecorder
	expected *expect.Tracker
	pacer    *pace.Pacer
	ageRatio prometheus.Histogram
}

// New returns a Reconciler.
func New(d controllers.Deps, kind Kind) *Reconciler {
	return &Reconciler{
		kind: kind, client: d.Client, live: d.Live, clock: d.Clock, recorder: d.Recorder(kind.EventSource),
		expected: expect.New(d.Clock),
		pacer:    pace.New(d.Clock, podEventInterval),
		ageRatio: newAgeRatio(),
	}
}

// Reconcile brings one object's pods and status up to date.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	r.pacer.Mark(req)
	obj := r.kind.New()
	if err := r.client.Get(ctx, req.NamespacedName, obj, client.UnsafeDisableDeepCopy); err != nil {
		if apierrors.IsNotFound(err) {
			r.pacer.Forget(req)
		}
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	set := r.kind.Read(obj)
	selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil || selector.Empty() {
		// Validation rejects such objects; retrying would not help.
		log.FromContext(ctx).V(1).Info("unusable selector", "error", err)
		return reconcile.Result{}, nil
	}
	observed, err := r.observe(ctx, obj, set, selector)
	if err != nil {
		return reconcile.Result{}, err
	}
	next := plan(observed, r.clock.Now())
	for _, ratio := range ageRatios(observed.Pods, next.Delete, r.clock.Now()) {
		r.ageRatio.Observe(ratio)
	}
	failure := r.apply(ctx, obj, set, next)
	status, again := MakeStatus(observed, failure, r.clock.Now())
	// Fields that the kind lacks are lost in updated and so not compared.
	updated := r.kind.WithStatus(obj, status)
	if StatusChanged(set, r.kind.Read(updated).Status) {
		if err := r.client.Status().Update(ctx, updated); err != nil {
			return statusFailure(failure, err)
		}
	}
	if !observed.Settled && again == 0 {
		// Should a watch event be lost, nothing else would trigger a reconcile.
		again = expect.Timeout
	}
	return reconcile.Result{RequeueAfter: again}, failure
}

// statusFailure leaves a conflict to the event that caused it, which either is
// in the queue already or about to be.
func statusFailure(failure, err error) (reconcile.Result, error) {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return reconcile.Result{}, failure
	}
	return reconcile.Result{}, errors.Join(failure, fmt.Errorf("writing status: %w", err))
}

// observe asks whether expectations are met before it lists, not after:
// otherwise the events that meet them could arrive in between.
func (r *Reconciler) observe(ctx context.Context, obj client.Object, set *appsv1.ReplicaSet, selector labels.Selector) (Observed, error) {
	o := Observed{Set: set, Settled: r.expected.Satisfied(set.UID)}
	claimer := &claim.Claimer{Client: r.client, Live: r.live, Owner: obj, GVK: r.kind.GVK, Selector: selector}
	var err error
	// A finished pod is not worth adopting; the garbage collector of pods has it.
	o.Pods, err = owned.Pods(ctx, claimer, podapi.IsActive)
	if err != nil {
		return o, fmt.Errorf("claiming pods: %w", err)
	}
	o.Related = o.Pods
	if r.kind.SpreadOverSiblings && o.Surplus() {
		o.Related, err = r.siblingsPods(ctx, set, o.Pods)
	}
	return o, err
}

// siblingsPods returns own and the pods of all other ReplicaSets of the same
// owner: a rollout should take pods from where there are most of either.
func (r *Reconciler) siblingsPods(ctx context.Context, set *appsv1.ReplicaSet, own []*corev1.Pod) ([]*corev1.Pod, error) {
	ref := metav1.GetControllerOfNoCopy(set)
	if ref == nil {
		return own, nil
	}
	var list appsv1.ReplicaSetList
	of := func(owner types.UID) client.ListOption { return client.MatchingFields{index.Owner: string(owner)} }
	siblings, err := owned.List(ctx, r.client, &list, &list.Items, client.InNamespace(set.Namespace), of(ref.UID))
	if err != nil {
		return nil, err
	}
	related := append([]*corev1.Pod(nil), own...)
	for _, s := range siblings {
		if s.UID == set.UID {
			continue
		}
		pods, err := owned.ListPods(ctx, r.client, client.InNamespace(s.Namespace), of(s.UID))
		if err != nil {
			return nil, err
		}
		related = append(related, pods...)
	}
	return related, nil
}

func (r *Reconciler) apply(ctx context.Context, obj client.Object, set *appsv1.ReplicaSet, plan Plan) (err error) {
	pods := owned.Control{Client: r.client, Expected: r.expected, Owner: set.UID, Told: owned.Events{Recorder: r.recorder, About: obj}}
	switch {
	case plan.Create > 0:
		_, err = pods.Create(ctx, plan.Create, func(int) *corev1.Pod { return owned.NewPod(set, r.kind.GVK, &set.Spec.Template) })
	case len(plan.Delete) > 0:
		_, err = pods.Delete(ctx, plan.Delete)
	}
	return err
}
