package replicas

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/coracle-k8s/coracle/controllers/internal/podstate"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// SetupWithManager registers the controller. Objects of the kind wake it when
// their spec or metadata changes or they are new; pods wake their owner, at
// most once per podEventInterval; orphans wake every object that would adopt
// them.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	r.live = mgr.GetAPIReader()
	opts.Reconciler = r
	c, err := controller.New(r.kind.Controller, mgr, opts)
	if err != nil {
		return fmt.Errorf("building %s: %w", r.kind.Controller, err)
	}
	if err := c.Watch(source.Kind(mgr.GetCache(), r.kind.New(), r.objectHandler())); err != nil {
		return fmt.Errorf("watching %s: %w", r.kind.GVK.Kind, err)
	}
	var pods client.Object = &corev1.Pod{}
	if err := c.Watch(source.Kind(mgr.GetCache(), pods, r.PodHandler())); err != nil {
		return fmt.Errorf("watching pods: %w", err)
	}
	return nil
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
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			if pod, ok := e.Object.(*corev1.Pod); ok {
				r.podCreated(ctx, pod, q)
			}
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			old, ok1 := e.ObjectOld.(*corev1.Pod)
			pod, ok2 := e.ObjectNew.(*corev1.Pod)
			if ok1 && ok2 && old.ResourceVersion != pod.ResourceVersion {
				r.podUpdated(ctx, old, pod, q)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			if pod, ok := e.Object.(*corev1.Pod); ok {
				r.podGone(pod, q)
			}
		},
	}
}

func (r *Reconciler) podCreated(ctx context.Context, pod *corev1.Pod, q queue) {
	ref := metav1.GetControllerOfNoCopy(pod)
	switch {
	case pod.DeletionTimestamp != nil:
		// The watch began, or began again, after the deletion did.
		r.podGone(pod, q)
	case ref == nil:
		r.wakeAdopters(ctx, pod, q)
	case r.owns(ref):
		r.expected.CreationsObserved(ref.UID, 1)
		r.wake(pod.Namespace, ref, q)
	}
}

func (r *Reconciler) podUpdated(ctx context.Context, old, pod *corev1.Pod, q queue) {
	if old.UID != pod.UID {
		r.podGone(old, q)
		r.podCreated(ctx, pod, q)
		return
	}
	if pod.DeletionTimestamp != nil && old.DeletionTimestamp == nil {
		// A graceful deletion counts from here; the pod may take long to go.
		r.deletionSeen(pod)
	}
	if !PodChangeMatters(old, pod) {
		return
	}
	oldRef, ref := metav1.GetControllerOfNoCopy(old), metav1.GetControllerOfNoCopy(pod)
	if oldRef != nil && (ref == nil || ref.UID != oldRef.UID) && r.owns(oldRef) {
		r.wake(pod.Namespace, oldRef, q)
	}
	switch {
	case ref == nil:
		r.wakeAdopters(ctx, pod, q)
	case r.owns(ref):
		r.wake(pod.Namespace, ref, q)
	}
}

func (r *Reconciler) podGone(pod *corev1.Pod, q queue) {
	r.deletionSeen(pod)
	if ref := metav1.GetControllerOfNoCopy(pod); ref != nil && r.owns(ref) {
		r.wake(pod.Namespace, ref, q)
	}
}

func (r *Reconciler) deletionSeen(pod *corev1.Pod) {
	if ref := metav1.GetControllerOfNoCopy(pod); ref != nil && r.owns(ref) {
		r.expected.DeletionObserved(ref.UID, pod.UID)
	}
}

func (r *Reconciler) owns(ref *metav1.OwnerReference) bool {
	return ref.Kind == r.kind.GVK.Kind && ref.APIVersion == r.kind.GVK.GroupVersion().String()
}

func (r *Reconciler) wake(namespace string, ref *metav1.OwnerReference, q queue) {
	r.pacer.Enqueue(q, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: ref.Name}})
}

// wakeAdopters looks at every object of the namespace, which is as rare as
// pods without an owner are.
func (r *Reconciler) wakeAdopters(ctx context.Context, pod *corev1.Pod, q queue) {
	if !podActiveAndLabeled(pod) {
		return
	}
	list := r.kind.NewList()
	if err := r.client.List(ctx, list, client.InNamespace(pod.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing adopters", "kind", r.kind.GVK.Kind)
		return
	}
	for _, obj := range r.kind.Items(list) {
		selector, err := metav1.LabelSelectorAsSelector(r.kind.Read(obj).Spec.Selector)
		if err == nil && !selector.Empty() && selector.Matches(labels.Set(pod.Labels)) {
			q.Add(requestFor(obj))
		}
	}
}

// statusOnly reports whether an update left the specification as it was.
// A resync (both are the same version) is not such an update.
func statusOnly(old, new client.Object) bool {
	return old.GetResourceVersion() != new.GetResourceVersion() &&
		old.GetUID() == new.GetUID() &&
		old.GetGeneration() == new.GetGeneration() &&
		(old.GetDeletionTimestamp() == nil) == (new.GetDeletionTimestamp() == nil)
}

func podActiveAndLabeled(pod *corev1.Pod) bool {
	return podstate.Active(pod) && len(pod.Labels) > 0
}

func requestFor(obj client.Object) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKeyFromObject(obj)}
}
