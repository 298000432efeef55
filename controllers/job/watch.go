package job

import (
	"context"
	"errors"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/controllers/internal/owned"
	"github.com/coracle-k8s/coracle/controllers/internal/podevents"
)

// Name is the controller's name, as upstream's.
const Name = "job-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "job"

// Names of the controller that removes the finalizer from pods without a Job, and of its
// queue in metrics, as upstream's.
const (
	OrphansName      = "job-orphan-pods"
	OrphansQueueName = "job_orphan_pod"
)

type queue = podevents.Queue

// SetupWithManager registers the controller and the one that removes the
// finalizer of pods that will not be counted. Jobs wake it when they change,
// pods their Job, at most once per podEventInterval.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return errors.Join(
		ctrl.NewControllerManagedBy(mgr).Named(Name).
			Watches(&batchv1.Job{}, r.jobHandler()).
			Watches(&corev1.Pod{}, r.PodHandler()).
			WithOptions(opts).Complete(r),
		ctrl.NewControllerManagedBy(mgr).Named(OrphansName).
			Watches(&batchv1.Job{}, r.endHandler()).
			Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(abandoned)).
			WithOptions(opts).Complete(&orphans{client: r.client}),
	)
}

func requestFor(o client.Object) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKeyFromObject(o)}
}

// jobHandler wakes a Job at once if its spec changed. If only the status did, which
// this controller writes, it wakes the Job no sooner than its pods' events do.
func (r *Reconciler) jobHandler() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) {
			if j, ok := e.Object.(*batchv1.Job); ok {
				r.metrics.met(j)
			}
			q.Add(requestFor(e.Object))
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			if e.ObjectOld.GetUID() != e.ObjectNew.GetUID() {
				r.forget(e.ObjectOld)
			}
			if e.ObjectOld.GetGeneration() == e.ObjectNew.GetGeneration() && (e.ObjectOld.GetDeletionTimestamp() == nil) == (e.ObjectNew.GetDeletionTimestamp() == nil) {
				r.pacer.Enqueue(q, requestFor(e.ObjectNew))
				return
			}
			q.Add(requestFor(e.ObjectNew))
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			r.forget(e.Object)
			q.Add(requestFor(e.Object))
		},
	}
}

func (r *Reconciler) forget(job client.Object) {
	r.expected.Forget(job.GetUID())
	r.memory.forget(job.GetUID())
}

// PodHandler meets expectations and wakes Jobs. A test without a cache may
// feed it by hand.
func (r *Reconciler) PodHandler() handler.EventHandler {
	inner := (&podevents.Handler{GVK: kind(), Expected: r.expected, Wake: r.pacer.Enqueue, Adopters: r.adopters, Matters: matters}).EventHandler()
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			r.saw(nil, e.Object)
			inner.Create(ctx, e, q)
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			r.saw(e.ObjectOld, e.ObjectNew)
			if e.ObjectOld.GetUID() != e.ObjectNew.GetUID() {
				r.released(e.ObjectOld)
			}
			if !hasFinalizer(e.ObjectNew) {
				// The old owner's, should the reference have gone along with it.
				r.released(e.ObjectOld)
				r.released(e.ObjectNew)
			}
			inner.Update(ctx, e, q)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			r.saw(e.Object, nil)
			r.released(e.Object)
			inner.Delete(ctx, e, q)
		},
	}
}

func (r *Reconciler) saw(old, now client.Object) {
	was, _ := old.(*corev1.Pod)
	is, _ := now.(*corev1.Pod)
	r.metrics.seen(was, is)
}

func (r *Reconciler) released(pod client.Object) {
	if ref := metav1.GetControllerOfNoCopy(pod); ref != nil && isJob(ref) {
		r.memory.untracked(ref.UID, pod.GetUID())
	}
}

// matters adds restarts, which count towards the backoff limit, and the
// finalizer to what wakes the owner of a pod.
func matters(old, new *corev1.Pod) bool {
	return podevents.ChangeMatters(old, new) || hasFinalizer(old) != hasFinalizer(new) || allRestarts(old) != allRestarts(new)
}

func allRestarts(p *corev1.Pod) (n int32) {
	for _, list := range [][]corev1.ContainerStatus{p.Status.ContainerStatuses, p.Status.InitContainerStatuses} {
		for i := range list {
			n += list[i].RestartCount
		}
	}
	return n
}

// adopters returns the Jobs whose selector an orphan matches.
func (r *Reconciler) adopters(ctx context.Context, pod *corev1.Pod) []reconcile.Request {
	var list batchv1.JobList
	if err := r.client.List(ctx, &list, client.InNamespace(pod.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing adopters")
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		selector, err := metav1.LabelSelectorAsSelector(list.Items[i].Spec.Selector)
		if err == nil && !selector.Empty() && selector.Matches(labels.Set(pod.Labels)) {
			out = append(out, requestFor(&list.Items[i]))
		}
	}
	return out
}

// abandoned picks the pods with finalizer that are being deleted or have no controller.
func abandoned(_ context.Context, pod client.Object) []reconcile.Request {
	ref := metav1.GetControllerOfNoCopy(pod)
	if !hasFinalizer(pod) || ref != nil && (!isJob(ref) || pod.GetDeletionTimestamp() == nil) {
		return nil
	}
	return []reconcile.Request{requestFor(pod)}
}

// endHandler wakes the pods of a Job that is gone.
func (r *Reconciler) endHandler() handler.EventHandler {
	return handler.Funcs{DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
		pods, err := owned.ListPods(ctx, r.client, client.InNamespace(e.Object.GetNamespace()), client.MatchingFields{index.Owner: string(e.Object.GetUID())})
		if err != nil {
			log.FromContext(ctx).Error(err, "listing the pods of a job that is gone")
		}
		for _, p := range pods {
			q.Add(requestFor(p))
		}
	}}
}
