package job

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/batch"
	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/claim"
	"github.com/coracle-k8s/coracle/controllers/internal/expect"
	"github.com/coracle-k8s/coracle/controllers/internal/owned"
	"github.com/coracle-k8s/coracle/controllers/internal/pace"
	"github.com/coracle-k8s/coracle/controllers/internal/slowstart"
)

// podEventInterval is how often the events of its pods may wake a Job; many
// pods that end in the meantime are counted in one status write.
const podEventInterval = 50 * time.Millisecond

// Reconciler runs Jobs. Make it with New.
type Reconciler struct {
	client   client.Client
	live     client.Reader
	clock    clock.Clock
	recorder record.EventRecorder
	expected *expect.Tracker
	pacer    *pace.Pacer
	memory   *memory
	metrics  *metrics
}

// New returns a Reconciler.
func New(d controllers.Deps) *Reconciler {
	return &Reconciler{client: d.Client, live: d.Live, clock: d.Clock, recorder: d.Recorder(Name),
		expected: expect.New(d.Clock), pacer: pace.New(d.Clock, podEventInterval), memory: newMemory(), metrics: newMetrics()}
}

// ours reports whether the Job is for this controller.
func ours(j *batchv1.Job) bool {
	return j.Spec.ManagedBy == nil || *j.Spec.ManagedBy == batchv1.JobControllerName
}

// Reconcile brings one Job's pods and status up to date.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	r.pacer.Mark(req)
	j := &batchv1.Job{}
	if err := r.client.Get(ctx, req.NamespacedName, j, client.UnsafeDisableDeepCopy); err != nil {
		if apierrors.IsNotFound(err) {
			r.pacer.Forget(req)
		}
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !ours(j) {
		return reconcile.Result{}, nil
	}
	if batch.IsFinished(&j.Status) {
		r.memory.forget(j.UID)
		return reconcile.Result{}, nil
	}
	if !r.memory.current(j.UID, j.ResourceVersion) {
		// The events that show what was written trigger a reconcile; should one be lost, time does.
		return reconcile.Result{RequeueAfter: expect.Timeout}, nil
	}
	began := time.Now()
	o, err := r.observe(ctx, j)
	if err != nil {
		r.metrics.synced(j, Plan{}, time.Since(began), err)
		return reconcile.Result{}, err
	}
	plan, result, err := r.sync(ctx, o)
	r.metrics.synced(j, plan, time.Since(began), err)
	return result, err
}

// sync carries out invariant 1 of the package, step by step.
func (r *Reconciler) sync(ctx context.Context, o Observed) (Plan, reconcile.Result, error) {
	ev := events{recorder: r.recorder, job: o.Job}
	v := newView(o, r.clock.Now())
	plan := v.plan()
	out, failure := r.apply(ctx, o.Job, plan)
	r.metrics.created(v, len(plan.Create), out.Created)
	t := v.track(plan, out)
	stored, err := r.store(ctx, o.Job, t.Status)
	if err != nil {
		return plan, reconcile.Result{}, quietly(errors.Join(failure, err))
	}
	r.metrics.judgements(v, t.Untrack)
	r.memory.setBackoff(o.Job.UID, t.Backoff)
	ev.transition(&t)
	untracked, err := r.untrack(ctx, o.Job, t.Untrack)
	failure = errors.Join(failure, err)
	// The next write, which the pods' events lead to, counts the untracked
	// pods. Only the end is written at once.
	if status, end := t.Settle(untracked, r.clock.Now()); end != nil && failure == nil {
		if _, err := r.store(ctx, stored, status); err != nil {
			return plan, reconcile.Result{}, quietly(err)
		}
		ev.ended(&status, end)
		r.metrics.ended(o.Job, end)
	}
	again := plan.Again
	if !o.Settled && again == 0 {
		again = expect.Timeout
	}
	return plan, reconcile.Result{RequeueAfter: again}, failure
}

// quietly leaves a conflict to the event that it is due to.
func quietly(err error) error {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// observe asks whether expectations are met before it lists, not after:
// otherwise the events that meet them could arrive in between.
func (r *Reconciler) observe(ctx context.Context, j *batchv1.Job) (Observed, error) {
	o := Observed{Job: j, Settled: r.expected.Satisfied(j.UID), Backoff: r.memory.backoff(j.UID)}
	selector, err := metav1.LabelSelectorAsSelector(j.Spec.Selector)
	if err != nil {
		return o, fmt.Errorf("reading the selector of %s: %w", client.ObjectKeyFromObject(j), err)
	}
	claimer := &claim.Claimer{Client: r.client, Live: r.live, Owner: j, GVK: kind(), Selector: selector, Finalizer: batchv1.JobTrackingFinalizer}
	if o.Pods, err = owned.Pods(ctx, claimer, nil); err != nil {
		return o, fmt.Errorf("claiming pods: %w", err)
	}
	return o, nil
}

// store writes a status that differs, and returns the Job as it is then.
func (r *Reconciler) store(ctx context.Context, j *batchv1.Job, status batchv1.JobStatus) (*batchv1.Job, error) {
	if apiequality.Semantic.DeepEqual(j.Status, status) {
		return j, nil
	}
	updated := j.DeepCopy()
	updated.Status = status
	if err := r.client.Status().Update(ctx, updated); err != nil {
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			return nil, err
		}
		return nil, fmt.Errorf("writing status of %s: %w", client.ObjectKeyFromObject(j), err)
	}
	r.memory.wrote(j.UID, updated.ResourceVersion)
	r.metrics.stored(j, &updated.Status)
	return updated, nil
}

func (r *Reconciler) apply(ctx context.Context, j *batchv1.Job, p Plan) (out Outcome, err error) {
	pods := owned.Control{Client: r.client, Expected: r.expected, Owner: j.UID, Told: owned.Events{Recorder: r.recorder, About: j}}
	switch {
	case len(p.Delete) > 0:
		if p.Untrack {
			r.memory.untrack(j.UID, tracked(p.Delete)...)
			pods.BeforeDelete = func(ctx context.Context, pod *corev1.Pod) error { return r.untrackOne(ctx, j.UID, pod) }
		}
		out.Deleted, err = pods.Delete(ctx, p.Delete)
	case len(p.Create) > 0:
		out.Created, err = pods.Create(ctx, len(p.Create), func(i int) *corev1.Pod { return NewPod(j, p.Create[i]) })
	}
	return out, err
}

// untrack removes the finalizer of pods and returns those that are without.
func (r *Reconciler) untrack(ctx context.Context, j *batchv1.Job, pods []*corev1.Pod) ([]*corev1.Pod, error) {
	if len(pods) == 0 {
		return nil, nil
	}
	r.memory.untrack(j.UID, tracked(pods)...)
	var mu sync.Mutex
	var done []*corev1.Pod
	_, err := slowstart.All(len(pods), func(i int) error {
		if err := client.IgnoreNotFound(r.untrackOne(ctx, j.UID, pods[i])); err != nil {
			return fmt.Errorf("removing tracking finalizer: %w", err)
		}
		mu.Lock()
		defer mu.Unlock()
		done = append(done, pods[i])
		return nil
	})
	return done, err
}

func (r *Reconciler) untrackOne(ctx context.Context, job types.UID, pod *corev1.Pod) error {
	err := removeFinalizer(ctx, r.client, pod)
	if err != nil {
		// There will be no event to wait for, or it came already.
		r.memory.untracked(job, pod.UID)
	}
	return err
}
