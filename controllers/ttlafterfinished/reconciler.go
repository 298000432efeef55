// Package ttlafterfinished deletes Jobs spec.ttlSecondsAfterFinished after
// they have finished, and with them their pods.
//
// The API of this package is not stable: see docs/api.md.
package ttlafterfinished

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
)

// Name is the controller's name, as upstream's.
const Name = "ttl-after-finished-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "ttl_jobs_to_delete"

// Reconciler deletes Jobs whose time has come. Make it with New.
type Reconciler struct {
	client client.Client
	live   client.Reader
	clock  clock.PassiveClock

	lateness prometheus.Histogram
}

// New returns a Reconciler.
func New(d controllers.Deps) *Reconciler {
	return &Reconciler{client: d.Client, live: d.Live, clock: d.Clock, lateness: newLateness()}
}

// Reconcile deletes the Job, or waits for the rest of its time. It asks the
// server before it deletes: the TTL may have been raised a moment ago.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	for _, from := range []client.Reader{r.client, r.live} {
		j := &batchv1.Job{}
		if err := from.Get(ctx, req.NamespacedName, j); err != nil {
			return reconcile.Result{}, client.IgnoreNotFound(err)
		}
		at, ok := Expiry(j)
		if !ok {
			return reconcile.Result{}, nil
		}
		if left := at.Sub(r.clock.Now()); left > 0 {
			return reconcile.Result{RequeueAfter: left}, nil
		}
		if from == r.live {
			err := r.client.Delete(ctx, j, client.PropagationPolicy(metav1.DeletePropagationForeground), client.Preconditions{UID: &j.UID})
			if err == nil {
				r.lateness.Observe(r.clock.Since(at).Seconds())
			}
			return reconcile.Result{}, client.IgnoreNotFound(err)
		}
	}
	return reconcile.Result{}, nil
}

// Expiry returns when the Job should go, if it has finished and has a TTL.
func Expiry(j *batchv1.Job) (time.Time, bool) {
	if j.Spec.TTLSecondsAfterFinished == nil || j.DeletionTimestamp != nil {
		return time.Time{}, false
	}
	for _, c := range j.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue && !c.LastTransitionTime.IsZero() {
			return c.LastTransitionTime.Add(time.Duration(*j.Spec.TTLSecondsAfterFinished) * time.Second), true
		}
	}
	return time.Time{}, false
}
