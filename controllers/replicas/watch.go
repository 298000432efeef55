package replicas

import (
	"context"

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

	"github.com/coracle-k8s/coracle/controllers/internal/podevents"
)

type queue = podevents.Queue

// SetupWithManager registers the controller. Objects of the kind wake it when
// their spec or metadata changes or they are new; pods wake their owner, at
// most once per podEventInterval; orphans wake every object that would adopt
// them.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).Named(r.kind.Controller).
		Watches(r.kind.New(), r.objectHandler()).
		Watches(&corev1.Pod{}, r.PodHandler()).
		WithOptions(opts).Complete(r)
}

// objectHandler wakes an object for every change of it, and for those of its
// status, which nearly all are the reconciler's own, no sooner than for a pod.
func (r *Reconciler) objectHandler() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { q.Add(requestFor(e.Object)) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			if e.ObjectOld.GetUID() != e.ObjectNew.GetUID() {
				r.expected.Forget(e.ObjectOld.GetUID())
			}
			if statusOnly(e.ObjectOld, e.ObjectNew) {
				r.pacer.Enqueue(q, requestFor(e.ObjectNew))
				return
			}
			q.Add(requestFor(e.ObjectNew))
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			r.expected.Forget(e.Object.GetUID())
			q.Add(requestFor(e.Object))
		},
	}
}

// PodHandler meets expectations and wakes owners. A test without a cache may
// feed it by hand.
func (r *Reconciler) PodHandler() handler.EventHandler {
	h := &podevents.Handler{GVK: r.kind.GVK, Expected: r.expected, Wake: r.pacer.Enqueue, Adopters: r.adopters}
	return h.EventHandler()
}

// adopters looks at every object of the namespace.
func (r *Reconciler) adopters(ctx context.Context, pod *corev1.Pod) []reconcile.Request {
	list := r.kind.NewList()
	if err := r.client.List(ctx, list, client.InNamespace(pod.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing adopters", "kind", r.kind.GVK.Kind)
		return nil
	}
	var out []reconcile.Request
	for _, obj := range r.kind.Items(list) {
		selector, err := metav1.LabelSelectorAsSelector(r.kind.Read(obj).Spec.Selector)
		if err == nil && !selector.Empty() && selector.Matches(labels.Set(pod.Labels)) {
			out = append(out, requestFor(obj))
		}
	}
	return out
}

// statusOnly reports whether an update left the specification as it was.
// A resync (both are the same version) is not such an update.
func statusOnly(old, new client.Object) bool {
	return old.GetResourceVersion() != new.GetResourceVersion() &&
		old.GetUID() == new.GetUID() &&
		old.GetGeneration() == new.GetGeneration() &&
		(old.GetDeletionTimestamp() == nil) == (new.GetDeletionTimestamp() == nil)
}

func requestFor(obj client.Object) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKeyFromObject(obj)}
}
