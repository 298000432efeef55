package daemonset

import (
	"context"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
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
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/coracle-k8s/coracle/controllers/internal/podevents"
)

type queue = podevents.Queue

// SetupWithManager registers the controller. A set is woken by its own changes,
// by its pods, by orphans that it would adopt, and by nodes that begin or cease
// to fit; by all but the first at a pace that its number of nodes sets.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).Named(Name).
		Watches(&appsv1.DaemonSet{}, r.setHandler()).
		Watches(&corev1.Pod{}, r.PodHandler()).
		WatchesRawSource(source.Kind(mgr.GetCache(), &corev1.Node{}, r.nodeHandler())).
		WithOptions(opts).Complete(r)
}

func (r *Reconciler) setHandler() handler.EventHandler {
	forget := func(obj client.Object) {
		r.expected.Forget(obj.GetUID())
		r.backoff.forget(obj.GetUID())
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { q.Add(requestFor(e.Object)) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			if e.ObjectOld.GetUID() != e.ObjectNew.GetUID() {
				forget(e.ObjectOld)
			}
			if e.ObjectOld.GetGeneration() == e.ObjectNew.GetGeneration() && e.ObjectOld.GetUID() == e.ObjectNew.GetUID() {
				r.pacer.Enqueue(q, requestFor(e.ObjectNew)) // the status, nearly always this controller's own write
				return
			}
			q.Add(requestFor(e.ObjectNew))
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			forget(e.Object)
			q.Add(requestFor(e.Object))
		},
	}
}

// PodHandler meets expectations and wakes owners. A test without a cache may
// feed it by hand.
func (r *Reconciler) PodHandler() handler.EventHandler {
	h := &podevents.Handler{GVK: kind, Expected: r.expected, Wake: r.pacer.Enqueue, Adopters: r.adopters, Matters: matters}
	return h.EventHandler()
}

// matters adds to what matters of any pod that it was bound: of two on a node
// the one that is counts.
func matters(old, new *corev1.Pod) bool {
	return old.Spec.NodeName != new.Spec.NodeName || podevents.ChangeMatters(old, new)
}

func (r *Reconciler) adopters(ctx context.Context, pod *corev1.Pod) []reconcile.Request {
	var out []reconcile.Request
	for _, set := range r.sets(ctx, client.InNamespace(pod.Namespace)) {
		selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
		if err == nil && !selector.Empty() && selector.Matches(labels.Set(pod.Labels)) {
			out = append(out, requestFor(&set))
		}
	}
	return out
}

func (r *Reconciler) sets(ctx context.Context, opts ...client.ListOption) []appsv1.DaemonSet {
	var list appsv1.DaemonSetList
	if err := r.client.List(ctx, &list, append(opts, client.UnsafeDisableDeepCopy)...); err != nil {
		log.FromContext(ctx).Error(err, "listing DaemonSets")
	}
	return list.Items
}

// nodeHandler wakes the sets to which a change of a node makes a difference.
func (r *Reconciler) nodeHandler() handler.TypedEventHandler[*corev1.Node, reconcile.Request] {
	return handler.TypedFuncs[*corev1.Node, reconcile.Request]{
		CreateFunc: func(ctx context.Context, e event.TypedCreateEvent[*corev1.Node], q queue) {
			r.wake(ctx, nil, e.Object, q)
		},
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[*corev1.Node], q queue) {
			if !sameToPods(e.ObjectOld, e.ObjectNew) {
				r.wake(ctx, e.ObjectOld, e.ObjectNew, q)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.TypedDeleteEvent[*corev1.Node], q queue) {
			r.wake(ctx, e.Object, nil, q)
		},
	}
}

// sameToPods compares what a set can ask of a node.
func sameToPods(a, b *corev1.Node) bool {
	return maps.Equal(a.Labels, b.Labels) && apiequality.Semantic.DeepEqual(a.Spec.Taints, b.Spec.Taints)
}

func (r *Reconciler) wake(ctx context.Context, was, is *corev1.Node, q queue) {
	for _, set := range r.sets(ctx) {
		judge := newJudge(&set)
		var before, after Verdict
		if was != nil {
			before = judge.judge(was)
		}
		if is != nil {
			after = judge.judge(is)
		}
		if before != after {
			r.pacer.Enqueue(q, requestFor(&set))
		}
	}
}

func requestFor(obj client.Object) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKeyFromObject(obj)}
}
