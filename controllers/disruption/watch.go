package disruption

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/coracle-k8s/coracle/controllers/internal/podevents"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// SetupWithManager registers the controller, and beside it the one that looks
// after stale conditions. A budget is woken by its own changes and by the pods
// that it selects, at most once per podEventInterval.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return errors.Join(
		ctrl.NewControllerManagedBy(mgr).Named(Name).
			Watches(&policyv1.PodDisruptionBudget{}, &handler.EnqueueRequestForObject{}).
			WatchesRawSource(source.Kind(mgr.GetCache(), &corev1.Pod{}, r.podHandler())).
			WithOptions(opts).Complete(r),
		ctrl.NewControllerManagedBy(mgr).Named(StalePodsName).
			WatchesRawSource(source.Kind(mgr.GetCache(), &corev1.Pod{}, r.targetHandler())).
			WithOptions(opts).Complete(reconcile.Func(r.reconcilePod)),
	)
}

func (r *Reconciler) podHandler() handler.TypedEventHandler[*corev1.Pod, reconcile.Request] {
	return handler.TypedFuncs[*corev1.Pod, reconcile.Request]{
		CreateFunc: func(ctx context.Context, e event.TypedCreateEvent[*corev1.Pod], q queue) { r.wake(ctx, e.Object, q) },
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[*corev1.Pod], q queue) {
			if podevents.ChangeMatters(e.ObjectOld, e.ObjectNew) {
				r.wake(ctx, e.ObjectOld, q)
				r.wake(ctx, e.ObjectNew, q)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.TypedDeleteEvent[*corev1.Pod], q queue) { r.wake(ctx, e.Object, q) },
	}
}

func (r *Reconciler) wake(ctx context.Context, pod *corev1.Pod, q queue) {
	var list policyv1.PodDisruptionBudgetList
	if err := r.client.List(ctx, &list, client.InNamespace(pod.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing budgets", "namespace", pod.Namespace)
		return
	}
	var first *policyv1.PodDisruptionBudget
	told := false
	for i := range list.Items {
		b := &list.Items[i]
		selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err != nil || !selector.Matches(labels.Set(pod.Labels)) {
			continue
		}
		r.pacer.Enqueue(q, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(b)})
		if first != nil && !told {
			// Every eviction of the pod will be refused.
			r.recorder.Eventf(pod, corev1.EventTypeWarning, "MultiplePodDisruptionBudgets",
				"Pod %q/%q matches multiple PodDisruptionBudgets.  Chose %q arbitrarily.", pod.Namespace, pod.Name, first.Name)
			told = true
		}
		first = cmp.Or(first, b)
	}
}

// targetHandler wakes pods that are a disruption's target, when that is stale.
func (r *Reconciler) targetHandler() handler.TypedEventHandler[*corev1.Pod, reconcile.Request] {
	look := func(pod *corev1.Pod, q queue) {
		if in, target := StaleIn(pod, r.clock.Now()); target {
			q.AddAfter(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(pod)}, in)
		}
	}
	return handler.TypedFuncs[*corev1.Pod, reconcile.Request]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[*corev1.Pod], q queue) { look(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[*corev1.Pod], q queue) { look(e.ObjectNew, q) },
	}
}

// reconcilePod takes a stale condition back.
func (r *Reconciler) reconcilePod(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	pod := &corev1.Pod{}
	if err := r.client.Get(ctx, req.NamespacedName, pod); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	now := r.clock.Now()
	in, target := StaleIn(pod, now)
	if !target || in > 0 {
		return reconcile.Result{RequeueAfter: in}, nil
	}
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.DisruptionTarget {
			*c = corev1.PodCondition{Type: c.Type, Status: corev1.ConditionFalse, LastTransitionTime: metav1.NewTime(now), ObservedGeneration: c.ObservedGeneration}
		}
	}
	if err := r.client.Status().Update(ctx, pod); client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("taking back the disruption of pod %s: %w", req.NamespacedName, err)
	}
	return reconcile.Result{}, nil
}
