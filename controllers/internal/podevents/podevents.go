// Package podevents turns the events of pods into requests for the objects that own them, and
// records which of their controller's own creations and deletions the cache shows by now.
//
// The API of this package is not stable: see docs/api.md.
package podevents

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/controllers/internal/expect"
)

// Queue is a controller's queue.
type Queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// Handler handles the pod events of one kind of owner.
type Handler struct {
	// GVK is the owner's kind, as it appears in owner references.
	GVK schema.GroupVersionKind
	// Expected hears of creations and deletions.
	Expected *expect.Tracker
	// Wake enqueues an owner, now or later.
	Wake func(Queue, reconcile.Request)
	// Adopters returns the objects that would adopt an orphan.
	Adopters func(context.Context, *corev1.Pod) []reconcile.Request
	// Matters reports whether an update of a pod concerns its owner. By default
	// ChangeMatters does.
	Matters func(old, new *corev1.Pod) bool
}

// EventHandler returns the handler for a watch of pods. A test without a cache
// may feed it by hand.
func (h *Handler) EventHandler() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q Queue) {
			if pod, ok := e.Object.(*corev1.Pod); ok {
				h.created(ctx, pod, q)
			}
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q Queue) {
			old, ok1 := e.ObjectOld.(*corev1.Pod)
			pod, ok2 := e.ObjectNew.(*corev1.Pod)
			if ok1 && ok2 && old.ResourceVersion != pod.ResourceVersion {
				h.updated(ctx, old, pod, q)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q Queue) {
			if pod, ok := e.Object.(*corev1.Pod); ok {
				h.gone(pod, q)
			}
		},
	}
}

func (h *Handler) created(ctx context.Context, pod *corev1.Pod, q Queue) {
	ref := metav1.GetControllerOfNoCopy(pod)
	switch {
	case pod.DeletionTimestamp != nil:
		// The watch began, or began again, after the deletion did.
		h.gone(pod, q)
	case ref == nil:
		h.wakeAdopters(ctx, pod, q)
	case h.owns(ref):
		h.Expected.CreationsObserved(ref.UID, 1)
		h.wake(pod.Namespace, ref, q)
	}
}

func (h *Handler) updated(ctx context.Context, old, pod *corev1.Pod, q Queue) {
	if old.UID != pod.UID {
		h.gone(old, q)
		h.created(ctx, pod, q)
		return
	}
	if pod.DeletionTimestamp != nil && old.DeletionTimestamp == nil {
		// A graceful deletion counts from here; the pod may take long to go.
		h.deletionSeen(pod)
	}
	matters := h.Matters
	if matters == nil {
		matters = ChangeMatters
	}
	if !matters(old, pod) {
		return
	}
	oldRef, ref := metav1.GetControllerOfNoCopy(old), metav1.GetControllerOfNoCopy(pod)
	if oldRef != nil && (ref == nil || ref.UID != oldRef.UID) && h.owns(oldRef) {
		h.wake(pod.Namespace, oldRef, q)
	}
	switch {
	case ref == nil:
		h.wakeAdopters(ctx, pod, q)
	case h.owns(ref):
		h.wake(pod.Namespace, ref, q)
	}
}

func (h *Handler) gone(pod *corev1.Pod, q Queue) {
	h.deletionSeen(pod)
	if ref := metav1.GetControllerOfNoCopy(pod); ref != nil && h.owns(ref) {
		h.wake(pod.Namespace, ref, q)
	}
}

func (h *Handler) deletionSeen(pod *corev1.Pod) {
	if ref := metav1.GetControllerOfNoCopy(pod); ref != nil && h.owns(ref) {
		h.Expected.DeletionObserved(ref.UID, pod.UID)
	}
}

func (h *Handler) owns(ref *metav1.OwnerReference) bool {
	return ref.Kind == h.GVK.Kind && ref.APIVersion == h.GVK.GroupVersion().String()
}

func (h *Handler) wake(namespace string, ref *metav1.OwnerReference, q Queue) {
	h.Wake(q, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: ref.Name}})
}

// wakeAdopters is as rare as pods without an owner are.
func (h *Handler) wakeAdopters(ctx context.Context, pod *corev1.Pod, q Queue) {
	if !podapi.IsActive(pod) || len(pod.Labels) == 0 {
		return
	}
	for _, req := range h.Adopters(ctx, pod) {
		q.Add(req)
	}
}

// ChangeMatters reports whether an update of a pod can change what its owner
// does or reports. A pod's IP, its node or its container states cannot.
func ChangeMatters(old, new *corev1.Pod) bool {
	return old.Status.Phase != new.Status.Phase ||
		(old.DeletionTimestamp == nil) != (new.DeletionTimestamp == nil) ||
		!apiequality.Semantic.DeepEqual(podapi.GetCondition(&old.Status, corev1.PodReady), podapi.GetCondition(&new.Status, corev1.PodReady)) ||
		!apiequality.Semantic.DeepEqual(old.Labels, new.Labels) ||
		!apiequality.Semantic.DeepEqual(old.OwnerReferences, new.OwnerReferences)
}
