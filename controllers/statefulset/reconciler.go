package statefulset

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
	"k8s.io/utils/ptr"
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
const Name = "statefulset-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "statefulset"

// podEventInterval is how often the events of its pods may wake a set. It is
// short, because in an ordered set each pod waits for the one before it.
const podEventInterval = 10 * time.Millisecond

// Reconciler reconciles StatefulSets. Make it with New.
type Reconciler struct {
	client   client.Client
	live     client.Reader
	clock    clock.Clock
	recorder record.EventRecorder
	expected *expect.Tracker
	pacer    *pace.Pacer
}

// New returns a Reconciler.
func New(d controllers.Deps) *Reconciler {
	return &Reconciler{
		client: d.Client, live: d.Live, clock: d.Clock, recorder: d.Recorder(Name),
		expected: expect.New(d.Clock),
		pacer:    pace.New(d.Clock, podEventInterval),
	}
}

// Reconcile takes one StatefulSet one step further.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	r.pacer.Mark(req)
	set := &appsv1.StatefulSet{}
	if err := r.client.Get(ctx, req.NamespacedName, set, client.UnsafeDisableDeepCopy); err != nil {
		if apierrors.IsNotFound(err) {
			r.pacer.Forget(req)
		}
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil || selector.Empty() {
		// Validation rejects such objects; retrying would not help.
		log.FromContext(ctx).V(1).Info("unusable selector", "error", err)
		return reconcile.Result{}, nil
	}
	store := &history.Store{Client: r.client, Live: r.live, Owner: set, Kind: revisionKind, Selector: selector}
	observed, revisions, err := r.observe(ctx, set, selector, store)
	if err != nil {
		return result(0, err)
	}
	next := plan(observed, r.clock.Now())
	failure := r.apply(ctx, set, next)
	if err := r.writeStatus(ctx, set, next.Status); err != nil {
		return result(0, errors.Join(failure, err))
	}
	if failure == nil {
		failure = store.Delete(ctx, history.Excess(revisions, live(observed), set.Spec.RevisionHistoryLimit))
	}
	again := next.RequeueAfter
	if !observed.Settled && again == 0 {
		// Should a watch event be lost, nothing else would trigger a reconcile.
		again = expect.Timeout
	}
	return result(again, failure)
}

// conflictRetry is how long the cache gets to learn of what caused a conflict.
const conflictRetry = 50 * time.Millisecond

// result requeues soon after a conflict, which is no failure. Changes of a
// claim trigger no reconcile.
func result(again time.Duration, err error) (reconcile.Result, error) {
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: conflictRetry}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: again}, nil
}

// observe asks whether expectations are met before it lists, not after:
// otherwise the events that meet them could arrive in between.
func (r *Reconciler) observe(ctx context.Context, set *appsv1.StatefulSet, selector labels.Selector, store *history.Store) (Observed, []*appsv1.ControllerRevision, error) {
	o := Observed{Set: set, Settled: r.expected.Satisfied(set.UID)}
	revisions, err := store.List(ctx, set.Status.CurrentRevision, set.Status.UpdateRevision)
	if err != nil {
		return o, nil, err
	}
	if err := r.observeRevisions(ctx, &o, revisions, store); err != nil {
		return o, nil, err
	}
	claimer := &claim.Claimer{
		Client: r.client, Live: r.live, Owner: set, GVK: kind, Selector: selector,
		Member: func(pod metav1.Object) bool { return isMember(set, pod) },
	}
	if o.Pods, err = owned.Pods(ctx, claimer, nil); err != nil {
		return o, nil, fmt.Errorf("claiming pods: %w", err)
	}
	o.Claims, err = r.claims(ctx, o)
	return o, revisions, err
}

func (r *Reconciler) observeRevisions(ctx context.Context, o *Observed, revisions []*appsv1.ControllerRevision, store *history.Store) error {
	set := o.Set
	collisions := ptr.Deref(set.Status.CollisionCount, 0)
	wanted, err := history.New(set, revisionKind, &set.Spec.Template, history.Next(revisions), collisions)
	if err != nil {
		return err
	}
	update, collisions, err := store.Apply(ctx, history.Decide(revisions, wanted), collisions)
	if err != nil {
		return err
	}
	o.Collisions = collisions
	o.Update = Revision{Name: update.Name, Template: &set.Spec.Template}
	o.Current = o.Update
	for _, rev := range revisions {
		if rev.Name == set.Status.CurrentRevision && rev.Name != update.Name {
			template, err := history.Template(rev)
			if err != nil {
				return err
			}
			o.Current = Revision{Name: rev.Name, Template: template}
		}
	}
	return nil
}

// live returns a function that reports whether a revision is in use.
func live(o Observed) func(*appsv1.ControllerRevision) bool {
	names := map[string]bool{o.Current.Name: true, o.Update.Name: true}
	for _, p := range o.Pods {
		names[revisionOf(p)] = true
	}
	return func(rev *appsv1.ControllerRevision) bool { return names[rev.Name] }
}

// claims reads the claims of all ordinals that are wanted or have a pod.
func (r *Reconciler) claims(ctx context.Context, o Observed) (map[string]*corev1.PersistentVolumeClaim, error) {
	claims := map[string]*corev1.PersistentVolumeClaim{}
	read := func(ordinal int) error {
		for i := range o.Set.Spec.VolumeClaimTemplates {
			name := claimName(o.Set, &o.Set.Spec.VolumeClaimTemplates[i], ordinal)
			c := &corev1.PersistentVolumeClaim{}
			err := r.client.Get(ctx, client.ObjectKey{Namespace: o.Set.Namespace, Name: name}, c, client.UnsafeDisableDeepCopy)
			switch {
			case err == nil:
				claims[name] = c
			case !apierrors.IsNotFound(err):
				return fmt.Errorf("reading claim %s: %w", name, err)
			}
		}
		return nil
	}
	for i := range sizeOf(o.Set) {
		if err := read(startOf(o.Set) + i); err != nil {
			return nil, err
		}
	}
	for _, p := range o.Pods {
		if n := ordinalOf(p); n >= 0 && !wanted(o.Set, n) {
			if err := read(n); err != nil {
				return nil, err
			}
		}
	}
	return claims, r.leftClaims(ctx, o.Set, claims)
}

// leftClaims adds the claims that the set controls though it does not want them.
func (r *Reconciler) leftClaims(ctx context.Context, set *appsv1.StatefulSet, claims map[string]*corev1.PersistentVolumeClaim) error {
	if len(set.Spec.VolumeClaimTemplates) == 0 || retention(set).WhenScaled != remove {
		return nil
	}
	var all corev1.PersistentVolumeClaimList
	if err := r.client.List(ctx, &all, client.InNamespace(set.Namespace), client.MatchingLabels(set.Spec.Selector.MatchLabels), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing claims: %w", err)
	}
	for i := range all.Items {
		if c := &all.Items[i]; metav1.IsControlledBy(c, set) && !wanted(set, claimOrdinal(set, c)) {
			claims[c.Name] = c
		}
	}
	return nil
}

func (r *Reconciler) writeStatus(ctx context.Context, set *appsv1.StatefulSet, status appsv1.StatefulSetStatus) error {
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
