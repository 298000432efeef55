package cronjob

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/controllers"
)

// Reconciler makes the Jobs of CronJobs. Make it with New.
type Reconciler struct {
	client   client.Client
	live     client.Reader
	clock    clock.PassiveClock
	recorder record.EventRecorder
	skew     prometheus.Histogram
}

// New returns a Reconciler.
func New(d controllers.Deps) *Reconciler {
	return &Reconciler{client: d.Client, live: d.Live, clock: d.Clock, recorder: d.Recorder(Name), skew: newSkew()}
}

// Reconcile brings one CronJob's Jobs and status up to date.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	c := &batchv1.CronJob{}
	if err := r.client.Get(ctx, req.NamespacedName, c); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	jobs, err := r.jobs(ctx, c)
	if err != nil {
		return reconcile.Result{}, err
	}
	if Unexpected(&c.Status, jobs) {
		// Most often the cache only lacks this controller's last write.
		if err := r.live.Get(ctx, req.NamespacedName, c); err != nil {
			return reconcile.Result{}, client.IgnoreNotFound(err)
		}
	}
	gone, err := r.gone(ctx, c, jobs)
	if err != nil {
		return reconcile.Result{}, err
	}
	expired := r.expire(ctx, c, Expired(c, jobs))
	status, notes := Review(c, jobs, gone)
	r.send(c, notes)
	d := plan(c, &status, r.clock.Now())
	r.send(c, d.Notes)
	failure := r.start(ctx, c, &status, d)
	if !apiequality.Semantic.DeepEqual(c.Status, status) {
		c.Status = status
		if err := r.client.Status().Update(ctx, c); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			failure = errors.Join(failure, fmt.Errorf("writing status: %w", err))
		}
	}
	return reconcile.Result{RequeueAfter: d.Again}, errors.Join(expired, failure)
}

func (r *Reconciler) send(c *batchv1.CronJob, notes []Note) {
	for _, n := range notes {
		r.recorder.Event(c, n.Type, n.Reason, n.Message)
	}
}

func (r *Reconciler) jobs(ctx context.Context, c *batchv1.CronJob) ([]*batchv1.Job, error) {
	var list batchv1.JobList
	if err := r.client.List(ctx, &list, client.InNamespace(c.Namespace), client.MatchingFields{index.Owner: string(c.UID)}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing jobs: %w", err)
	}
	jobs := make([]*batchv1.Job, len(list.Items))
	for i := range list.Items {
		jobs[i] = &list.Items[i]
	}
	return jobs, nil
}

// gone asks the server for listed Jobs that the cache does not show.
func (r *Reconciler) gone(ctx context.Context, c *batchv1.CronJob, jobs []*batchv1.Job) (sets.Set[types.UID], error) {
	gone := sets.New[types.UID]()
	for _, ref := range c.Status.Active {
		if slices.ContainsFunc(jobs, func(j *batchv1.Job) bool { return j.UID == ref.UID }) {
			continue
		}
		err := r.live.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, &batchv1.Job{})
		if apierrors.IsNotFound(err) {
			gone.Insert(ref.UID)
		} else if err != nil {
			return nil, fmt.Errorf("reading active job %s: %w", ref.Name, err)
		}
	}
	return gone, nil
}

func (r *Reconciler) expire(ctx context.Context, c *batchv1.CronJob, jobs []*batchv1.Job) error {
	var errs []error
	for _, j := range jobs {
		errs = append(errs, r.delete(ctx, c, j.Namespace, j.Name))
	}
	return errors.Join(errs...)
}

func (r *Reconciler) delete(ctx context.Context, c *batchv1.CronJob, namespace, name string) error {
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	err := r.client.Delete(ctx, j, client.PropagationPolicy(metav1.DeletePropagationBackground))
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		r.recorder.Eventf(c, corev1.EventTypeWarning, "FailedDelete", "Deleted job: %v", err)
		return fmt.Errorf("deleting job %s: %w", name, err)
	}
	r.recorder.Eventf(c, corev1.EventTypeNormal, "SuccessfulDelete", "Deleted job %v", name)
	return nil
}

// start makes the Job that was decided on and lists it in status.
func (r *Reconciler) start(ctx context.Context, c *batchv1.CronJob, status *batchv1.CronJobStatus, d Decision) error {
	if d.Start.IsZero() {
		return nil
	}
	if d.Replace {
		for _, ref := range slices.Clone(status.Active) {
			if err := r.delete(ctx, c, ref.Namespace, ref.Name); err != nil {
				return fmt.Errorf("replacing: %w", err)
			}
			drop(status, ref.UID)
		}
	}
	j, err := NewJob(c, d.Start)
	if err != nil {
		return err
	}
	err = r.client.Create(ctx, j)
	switch {
	case apierrors.IsAlreadyExists(err):
		return r.adopt(ctx, c, status, j, d.Start)
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return nil
	case err != nil:
		r.recorder.Eventf(c, corev1.EventTypeWarning, "FailedCreate", "Error creating job: %v", err)
		return fmt.Errorf("creating job %s: %w", j.Name, err)
	}
	r.skew.Observe(j.CreationTimestamp.Sub(d.Start).Seconds())
	r.recorder.Eventf(c, corev1.EventTypeNormal, "SuccessfulCreate", "Created job %v", j.Name)
	Started(status, j, d.Start)
	return nil
}

// adopt lists a Job that was made before, by a controller that ended before it wrote that.
func (r *Reconciler) adopt(ctx context.Context, c *batchv1.CronJob, status *batchv1.CronJobStatus, j *batchv1.Job, at time.Time) error {
	if err := r.live.Get(ctx, client.ObjectKeyFromObject(j), j); err != nil {
		return fmt.Errorf("reading job %s: %w", j.Name, err)
	}
	if metav1.IsControlledBy(j, c) && !lists(status, j.UID) {
		Started(status, j, at)
	}
	return nil
}
