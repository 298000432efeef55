package deployment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/claim"
	"github.com/coracle-k8s/coracle/controllers/internal/owned"
)

// Name is the controller's name, as upstream's.
const Name = "deployment-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "deployment"

// errNotYet ends a reconcile whose rest must wait for an event that is sure to
// come: the cache is behind, or another client wrote first.
var errNotYet = errors.New("the cache has not caught up")

// Reconciler reconciles Deployments. Make it with New.
type Reconciler struct {
	client   client.Client
	live     client.Reader
	clock    clock.Clock
	recorder record.EventRecorder
	written  generations
}

// New returns a Reconciler.
func New(d controllers.Deps) *Reconciler {
	return &Reconciler{client: d.Client, live: d.Live, clock: d.Clock, recorder: d.Recorder(Name), written: generations{of: map[types.UID]int64{}}}
}

// Reconcile takes one Deployment one step further.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	d := &appsv1.Deployment{}
	if err := r.client.Get(ctx, req.NamespacedName, d); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	sets, err := r.observe(ctx, d)
	if err != nil {
		return result(err)
	}
	next := plan(Observed{Deployment: d, Sets: sets}, r.clock.Now())
	if err := r.apply(ctx, d, next); err != nil {
		return result(err)
	}
	return reconcile.Result{RequeueAfter: next.RequeueAfter}, nil
}

// result turns what is only a matter of time into success: a newer version of
// what conflicted is in the cache or on its way, and wakes the Deployment.
func result(err error) (reconcile.Result, error) {
	if errors.Is(err, errNotYet) || apierrors.IsConflict(err) {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, err
}

func (r *Reconciler) observe(ctx context.Context, d *appsv1.Deployment) ([]*appsv1.ReplicaSet, error) {
	if selectsEverything(d) {
		return nil, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		// Validation rejects such objects; retrying would not help.
		log.FromContext(ctx).V(1).Info("unusable selector", "error", err)
		return nil, errNotYet
	}
	claimer := &claim.Claimer{Client: r.client, Live: r.live, Owner: d, GVK: kind, Selector: selector}
	claimed, err := owned.ReplicaSets(ctx, claimer)
	if err != nil {
		return nil, fmt.Errorf("claiming ReplicaSets: %w", err)
	}
	for _, s := range claimed {
		if !r.written.seen(s) {
			return nil, errNotYet
		}
	}
	return claimed, nil
}

func (r *Reconciler) apply(ctx context.Context, d *appsv1.Deployment, plan Plan) error {
	if plan.Rewrite != nil {
		if err := r.client.Update(ctx, plan.Rewrite); err != nil {
			return fmt.Errorf("rolling back: %w", err)
		}
	}
	for _, e := range plan.Events {
		r.recorder.Event(d, e.Type, e.Reason, e.Message)
	}
	if plan.Rewrite != nil {
		return nil
	}
	if plan.Create != nil {
		if err := r.create(ctx, d, plan.Create); err != nil {
			return err
		}
	}
	for _, c := range plan.Change {
		if err := r.change(ctx, d, c); err != nil {
			return err
		}
	}
	for _, s := range plan.Delete {
		gone := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name}}
		if err := r.client.Delete(ctx, gone, client.Preconditions{UID: &s.UID}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting old ReplicaSet %s: %w", s.Name, err)
		}
	}
	if plan.Revision != "" {
		if err := r.setRevision(ctx, d, plan.Revision); err != nil {
			return err
		}
	}
	return r.writeStatus(ctx, d, plan.Status)
}

func (r *Reconciler) writeStatus(ctx context.Context, d *appsv1.Deployment, status appsv1.DeploymentStatus) error {
	if apiequality.Semantic.DeepEqual(d.Status, status) {
		return nil
	}
	updated := d.DeepCopy()
	updated.Status = status
	if err := r.client.Status().Update(ctx, updated); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing status: %w", err)
	}
	return nil
}

// create makes the new ReplicaSet. If its name is taken, either by the same
// ReplicaSet, which the cache does not show yet, or by another, then the next
// attempt gets another name.
func (r *Reconciler) create(ctx context.Context, d *appsv1.Deployment, set *appsv1.ReplicaSet) error {
	err := r.client.Create(ctx, set.DeepCopy())
	switch {
	case err == nil:
		if n := size(set); n > 0 {
			r.recorder.Event(d, corev1.EventTypeNormal, reasonScaling, scaledMessage(set, 0, n))
		}
		return nil
	case apierrors.IsAlreadyExists(err):
		return r.resolveCollision(ctx, d, set)
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		// Nothing to retry or report: the Deployment will go too.
		return errNotYet
	}
	r.recorder.Event(d, corev1.EventTypeWarning, reasonSetCreateError, createFailedMessage(set.Name, err))
	failed := CreateFailed(d, set, err, r.clock.Now())
	return errors.Join(fmt.Errorf("creating ReplicaSet %s: %w", set.Name, err), r.writeStatus(ctx, d, failed))
}

func (r *Reconciler) resolveCollision(ctx context.Context, d *appsv1.Deployment, set *appsv1.ReplicaSet) error {
	existing := &appsv1.ReplicaSet{}
	if err := r.live.Get(ctx, client.ObjectKeyFromObject(set), existing); err != nil {
		return fmt.Errorf("reading ReplicaSet %s, which exists: %w", set.Name, err)
	}
	if metav1.IsControlledBy(existing, d) && sameTemplate(&existing.Spec.Template, &d.Spec.Template) {
		return errNotYet
	}
	status := *d.Status.DeepCopy()
	status.CollisionCount = ptr.To(ptr.Deref(status.CollisionCount, 0) + 1)
	if err := r.writeStatus(ctx, d, status); err != nil {
		return err
	}
	return errNotYet
}

// change patches without a resource version: the set's own controller writes
// its status all the time, and the plan was made on its latest specification.
func (r *Reconciler) change(ctx context.Context, d *appsv1.Deployment, c Change) error {
	meta := map[string]any{"uid": c.Set.UID}
	if c.Annotations != nil {
		meta["annotations"] = c.Annotations
	}
	spec := map[string]any{}
	if c.Replicas != nil {
		spec["replicas"] = *c.Replicas
	}
	if c.MinReadySeconds != nil {
		spec["minReadySeconds"] = *c.MinReadySeconds
	}
	body, err := json.Marshal(map[string]any{"metadata": meta, "spec": spec})
	if err != nil {
		return fmt.Errorf("encoding patch: %w", err)
	}
	set := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: c.Set.Namespace, Name: c.Set.Name}}
	if err := r.client.Patch(ctx, set, client.RawPatch(types.MergePatchType, body)); err != nil {
		return fmt.Errorf("scaling ReplicaSet %s: %w", c.Set.Name, err)
	}
	r.written.record(set)
	if c.Replicas != nil {
		r.recorder.Event(d, corev1.EventTypeNormal, reasonScaling, scaledMessage(c.Set, size(c.Set), *c.Replicas))
	}
	return nil
}

// setRevision annotates d as part of its status, because an annotation that is
// written otherwise counts up the generation. It leaves d with the version that
// was written, for the status that follows.
func (r *Reconciler) setRevision(ctx context.Context, d *appsv1.Deployment, revision string) error {
	updated := d.DeepCopy()
	metav1.SetMetaDataAnnotation(&updated.ObjectMeta, annotationRevision, revision)
	if err := r.client.Status().Update(ctx, updated); err != nil {
		return fmt.Errorf("annotating revision: %w", err)
	}
	*d = *updated
	return nil
}

// generations remembers the generation each ReplicaSet had after this
// controller last wrote it.
type generations struct {
	mu sync.Mutex
	of map[types.UID]int64
}

func (g *generations) record(s *appsv1.ReplicaSet) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.of[s.UID] = s.Generation
}

// seen reports whether s is as new as what was written.
func (g *generations) seen(s *appsv1.ReplicaSet) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.Generation < g.of[s.UID] {
		return false
	}
	delete(g.of, s.UID)
	return true
}

func (g *generations) forget(uid types.UID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.of, uid)
}
