package deployment

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
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
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// SetupWithManager registers the controller. A Deployment is woken by every
// change of its own and by every change of its ReplicaSets, whose controller
// paces them; orphaned ReplicaSets wake the Deployments that would adopt them.
// Pods wake nothing: all that matters of them is in their ReplicaSet's status.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).Named(Name).
		Watches(&appsv1.Deployment{}, &handler.EnqueueRequestForObject{}).
		Watches(&appsv1.ReplicaSet{}, r.setHandler()).
		WithOptions(opts).Complete(r)
}

func (r *Reconciler) setHandler() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { r.wake(ctx, e.Object, q) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			was, is := metav1.GetControllerOfNoCopy(e.ObjectOld), metav1.GetControllerOfNoCopy(e.ObjectNew)
			if was != nil && (is == nil || is.UID != was.UID) {
				r.wakeOwner(e.ObjectOld.GetNamespace(), was, q)
			}
			r.wake(ctx, e.ObjectNew, q)
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			r.written.forget(e.Object.GetUID())
			if ref := metav1.GetControllerOfNoCopy(e.Object); ref != nil {
				r.wakeOwner(e.Object.GetNamespace(), ref, q)
			}
		},
	}
}

func (r *Reconciler) wake(ctx context.Context, set client.Object, q queue) {
	if ref := metav1.GetControllerOfNoCopy(set); ref != nil {
		r.wakeOwner(set.GetNamespace(), ref, q)
		return
	}
	if set.GetDeletionTimestamp() != nil || len(set.GetLabels()) == 0 {
		return
	}
	var list appsv1.DeploymentList
	if err := r.client.List(ctx, &list, client.InNamespace(set.GetNamespace()), client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing Deployments that may adopt", "replicaSet", client.ObjectKeyFromObject(set))
		return
	}
	for i := range list.Items {
		d := &list.Items[i]
		selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
		if err == nil && !selector.Empty() && selector.Matches(labels.Set(set.GetLabels())) {
			q.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(d)})
		}
	}
}

func (r *Reconciler) wakeOwner(namespace string, ref *metav1.OwnerReference, q queue) {
	if ref.Kind == kind.Kind && ref.APIVersion == kind.GroupVersion().String() {
		q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: ref.Name}})
	}
}
