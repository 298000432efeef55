package cronjob

import (
	"context"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Name is the controller's name, as upstream's.
const Name = "cronjob-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "cronjob"

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// SetupWithManager registers the controller. A CronJob wakes it when it
// changes, at its next scheduled time, and when one of its Jobs changes.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	owned := handler.TypedEnqueueRequestForOwner[*batchv1.Job](mgr.GetScheme(), mgr.GetRESTMapper(), &batchv1.CronJob{}, handler.OnlyControllerOwner())
	return ctrl.NewControllerManagedBy(mgr).Named(Name).
		WatchesRawSource(source.Kind(mgr.GetCache(), &batchv1.CronJob{}, r.handler())).
		WatchesRawSource(source.Kind(mgr.GetCache(), &batchv1.Job{}, owned)).
		WithOptions(opts).Complete(r)
}

// handler wakes a CronJob whose schedule changed only at the next time of the
// new one: a time it would have had before was not missed.
func (r *Reconciler) handler() handler.TypedEventHandler[*batchv1.CronJob, reconcile.Request] {
	request := func(c *batchv1.CronJob) reconcile.Request {
		return reconcile.Request{NamespacedName: client.ObjectKeyFromObject(c)}
	}
	return handler.TypedFuncs[*batchv1.CronJob, reconcile.Request]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[*batchv1.CronJob], q queue) { q.Add(request(e.Object)) },
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[*batchv1.CronJob], q queue) { q.Add(request(e.Object)) },
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[*batchv1.CronJob], q queue) {
			old, c := e.ObjectOld, e.ObjectNew
			if old.Spec.Schedule == c.Spec.Schedule && ptr.Equal(old.Spec.TimeZone, c.Spec.TimeZone) {
				q.Add(request(c))
				return
			}
			s, err := zoned(c)
			if err != nil {
				r.recorder.Eventf(c, corev1.EventTypeWarning, "UnParseableCronJobSchedule", "unparseable schedule for cronjob: %s", c.Spec.Schedule)
				return
			}
			q.AddAfter(request(c), untilNext(c, &c.Status, s, r.clock.Now()))
		},
	}
}
