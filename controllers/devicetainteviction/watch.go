package devicetainteviction

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
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
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// SetupWithManager registers the two reconcilers; see the package's documentation.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	cache := mgr.GetCache()
	return errors.Join(
		ctrl.NewControllerManagedBy(mgr).Named(Name).
			WatchesRawSource(source.Kind(cache, &corev1.Pod{}, podHandler())).
			WatchesRawSource(source.Kind(cache, &resourcev1.ResourceClaim{}, claimHandler())).
			WatchesRawSource(source.Kind(cache, &resourcev1.ResourceSlice{}, r.sliceHandler())).
			WatchesRawSource(source.Kind(cache, &resourcev1.DeviceTaintRule{}, r.ruleHandler())).
			WatchesRawSource(source.Func(func(ctx context.Context, q queue) error {
				go r.alarms.Run(ctx, func(pod types.NamespacedName) { q.Add(reconcile.Request{NamespacedName: pod}) })
				return nil
			})).
			WithOptions(opts).Complete(r),
		ctrl.NewControllerManagedBy(mgr).Named(Name+"-rules").
			WatchesRawSource(source.Kind(cache, &resourcev1.DeviceTaintRule{}, changedRules())).
			WatchesRawSource(source.Func(func(_ context.Context, q queue) error {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.rules = q
				return nil
			})).
			WithOptions(opts).Complete(reconcile.Func(r.reconcileRule)),
	)
}

// changes calls f with what was and what is, one of them nil, for each event.
func changes[T client.Object](f func(ctx context.Context, old, new T, q queue)) handler.TypedEventHandler[T, reconcile.Request] {
	var none T
	return handler.TypedFuncs[T, reconcile.Request]{
		CreateFunc: func(ctx context.Context, e event.TypedCreateEvent[T], q queue) { f(ctx, none, e.Object, q) },
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[T], q queue) { f(ctx, e.ObjectOld, e.ObjectNew, q) },
		DeleteFunc: func(ctx context.Context, e event.TypedDeleteEvent[T], q queue) { f(ctx, e.Object, none, q) },
	}
}

func podHandler() handler.TypedEventHandler[*corev1.Pod, reconcile.Request] {
	return changes(func(_ context.Context, old, new *corev1.Pod, q queue) {
		switch {
		case new == nil:
			new = old
		case old != nil && old.Spec.NodeName == new.Spec.NodeName && concerns(old) == concerns(new) &&
			equality.Semantic.DeepEqual(old.Status.ResourceClaimStatuses, new.Status.ResourceClaimStatuses):
			return
		}
		if len(new.Spec.ResourceClaims) > 0 {
			q.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(new)})
		}
	})
}

func claimHandler() handler.TypedEventHandler[*resourcev1.ResourceClaim, reconcile.Request] {
	return changes(func(_ context.Context, old, new *resourcev1.ResourceClaim, q queue) {
		if old != nil && new != nil && old.UID == new.UID && (old.Status.Allocation == nil) == (new.Status.Allocation == nil) &&
			equality.Semantic.DeepEqual(old.Status.ReservedFor, new.Status.ReservedFor) {
			return
		}
		for _, claim := range []*resourcev1.ResourceClaim{old, new} {
			if claim != nil {
				wake(q, claim)
			}
		}
	})
}

func wake(q queue, claim *resourcev1.ResourceClaim) {
	for _, pod := range consumers(claim) {
		q.Add(reconcile.Request{NamespacedName: pod})
	}
}

// wakeAll wakes the pods of claims with a device for which means is true.
func (r *Reconciler) wakeAll(ctx context.Context, q queue, means func(pool poolID, device string) bool) {
	claims, err := r.claims(ctx)
	if err != nil {
		log.FromContext(ctx).Error(err, "listing claims of tainted devices")
		return
	}
	for _, claim := range claims {
		for _, d := range allocated(claim) {
			if means(poolID{d.Driver, d.Pool}, d.Device) {
				wake(q, claim)
				break
			}
		}
	}
}

func (r *Reconciler) sliceHandler() handler.TypedEventHandler[*resourcev1.ResourceSlice, reconcile.Request] {
	return changes(func(ctx context.Context, old, new *resourcev1.ResourceSlice, q queue) {
		if changed, is := r.devices.replace(old, new); is {
			r.wakeAll(ctx, q, func(pool poolID, _ string) bool { return pool == changed })
		}
	})
}

func (r *Reconciler) ruleHandler() handler.TypedEventHandler[*resourcev1.DeviceTaintRule, reconcile.Request] {
	return changes(func(ctx context.Context, old, new *resourcev1.DeviceTaintRule, q queue) {
		if new == nil {
			r.mu.Lock()
			delete(r.evicted, old.UID)
			r.mu.Unlock()
		}
		if sameRule(old, new) {
			return
		}
		r.wakeAll(ctx, q, func(pool poolID, device string) bool {
			return old != nil && means(old, pool, device) || new != nil && means(new, pool, device)
		})
	})
}

func sameRule(old, new *resourcev1.DeviceTaintRule) bool {
	return old != nil && new != nil && old.UID == new.UID && equality.Semantic.DeepEqual(old.Spec, new.Spec)
}

// changedRules wakes rules whose specification is new.
func changedRules() handler.TypedEventHandler[*resourcev1.DeviceTaintRule, reconcile.Request] {
	return changes(func(_ context.Context, old, new *resourcev1.DeviceTaintRule, q queue) {
		if new != nil && !sameRule(old, new) {
			q.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(new)})
		}
	})
}
