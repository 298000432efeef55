package statefulset

import (
	"context"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
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

// SetupWithManager registers the controller. A set is woken by its own changes,
// by its pods, at most once per podEventInterval, by orphans that it would
// adopt, and by the end of a claim whose name is that of one of its pods'.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).Named(Name).
		Watches(&appsv1.StatefulSet{}, r.setHandler()).
		Watches(&corev1.Pod{}, r.PodHandler()).
		Watches(&corev1.PersistentVolumeClaim{}, r.claimHandler()).
		WithOptions(opts).Complete(r)
}

func (r *Reconciler) setHandler() handler.EventHandler {
	add := func(q queue, obj client.Object) {
		q.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(obj)})
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { add(q, e.Object) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			if e.ObjectOld.GetUID() != e.ObjectNew.GetUID() {
				r.expected.Forget(e.ObjectOld.GetUID())
			}
			add(q, e.ObjectNew)
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			r.expected.Forget(e.Object.GetUID())
			add(q, e.Object)
		},
	}
}

// PodHandler meets expectations and wakes owners. A test without a cache may
// feed it by hand.
func (r *Reconciler) PodHandler() handler.EventHandler {
	h := &podevents.Handler{GVK: kind, Expected: r.expected, Wake: r.pacer.Enqueue, Adopters: r.adopters}
	return h.EventHandler()
}

func (r *Reconciler) adopters(ctx context.Context, pod *corev1.Pod) []reconcile.Request {
	return r.setsWhere(ctx, pod.Namespace, func(set *appsv1.StatefulSet) bool {
		selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
		return err == nil && !selector.Empty() && isMember(set, pod) && selector.Matches(labels.Set(pod.Labels))
	})
}

// claimHandler wakes sets that may wait for the end of an old claim.
func (r *Reconciler) claimHandler() handler.EventHandler {
	return handler.Funcs{DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
		pod, ordinal := parse(e.Object.GetName())
		if ordinal < 0 {
			return
		}
		for _, req := range r.setsWhere(ctx, e.Object.GetNamespace(), func(set *appsv1.StatefulSet) bool {
			return len(set.Spec.VolumeClaimTemplates) > 0 && strings.HasSuffix(pod, "-"+set.Name)
		}) {
			q.Add(req)
		}
	}}
}

func (r *Reconciler) setsWhere(ctx context.Context, namespace string, ok func(*appsv1.StatefulSet) bool) []reconcile.Request {
	var list appsv1.StatefulSetList
	if err := r.client.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing StatefulSets", "namespace", namespace)
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		if ok(&list.Items[i]) {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return out
}
