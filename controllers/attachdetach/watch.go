package attachdetach

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/index"
)

// SetupWithManager wakes the reconciler. Of pods and nodes, which change all the
// time, hardly any event gets as far as a look at the cache.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	opts.MaxConcurrentReconciles = 1 // invariant 1
	return ctrl.NewControllerManagedBy(mgr).Named(Name).
		For(&corev1.Node{}, builder.WithPredicates(nodeChanges())).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(r.ofPod), builder.WithPredicates(podChanges())).
		Watches(&corev1.PersistentVolumeClaim{}, handler.EnqueueRequestsFromMapFunc(r.ofClaim)).
		Watches(&corev1.PersistentVolume{}, handler.EnqueueRequestsFromMapFunc(r.ofVolume)).
		Watches(&storagev1.VolumeAttachment{}, handler.EnqueueRequestsFromMapFunc(r.ofAttachment)).
		Watches(&storagev1.CSIDriver{}, handler.EnqueueRequestsFromMapFunc(r.ofDriver)).
		WithOptions(opts).Complete(r)
}

// nodeChanges lets every new node pass: its pods may have been there first, and
// then nothing was attached for want of the node.
func nodeChanges() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			old, ok1 := e.ObjectOld.(*corev1.Node)
			node, ok2 := e.ObjectNew.(*corev1.Node)
			return ok1 && ok2 && (ready(old) != ready(node) || outOfService(old) != outOfService(node) ||
				old.Annotations[managedAnnotation] != node.Annotations[managedAnnotation] ||
				!slices.Equal(old.Status.VolumesInUse, node.Status.VolumesInUse) || !slices.Equal(old.Status.VolumesAttached, node.Status.VolumesAttached))
		},
	}
}

func podChanges() predicate.Predicate {
	needs := func(o client.Object) bool {
		pod, ok := o.(*corev1.Pod)
		return ok && pod.Spec.NodeName != "" && len(index.ByVolumeClaim(pod)) > 0
	}
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return needs(e.Object) },
		DeleteFunc: func(e event.DeleteEvent) bool { return needs(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool {
			old, ok1 := e.ObjectOld.(*corev1.Pod)
			pod, ok2 := e.ObjectNew.(*corev1.Pod)
			return ok1 && ok2 && (old.Spec.NodeName != pod.Spec.NodeName || old.UID != pod.UID || over(old) != over(pod)) && needs(pod)
		},
	}
}

func request(node string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: node}}
}

// ofPod returns the pod's node, if any of its volumes may have to be attached,
// or the nodes that wait for one.
func (r *Reconciler) ofPod(ctx context.Context, o client.Object) []reconcile.Request {
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return nil
	}
	for _, name := range index.ByVolumeClaim(pod) {
		pv, err := r.boundVolume(ctx, types.NamespacedName{Namespace: pod.Namespace, Name: name})
		if err != nil || pv != nil && pv.Spec.CSI != nil || pv == nil && pod.DeletionTimestamp != nil {
			return []reconcile.Request{request(pod.Spec.NodeName)}
		}
	}
	return nil
}

func (r *Reconciler) ofClaim(ctx context.Context, o client.Object) []reconcile.Request {
	claim, ok := o.(*corev1.PersistentVolumeClaim)
	if !ok || claim.Spec.VolumeName == "" {
		return nil
	}
	if pv, err := r.volume(ctx, claim.Spec.VolumeName); err == nil && pv != nil && pv.Spec.CSI == nil {
		return nil
	}
	return r.users(ctx, claim.Namespace, claim.Name)
}

func (r *Reconciler) ofVolume(ctx context.Context, o client.Object) []reconcile.Request {
	if pv, ok := o.(*corev1.PersistentVolume); ok && pv.Spec.CSI != nil && pv.Spec.ClaimRef != nil {
		return r.users(ctx, pv.Spec.ClaimRef.Namespace, pv.Spec.ClaimRef.Name)
	}
	return nil
}

// ofAttachment returns its node, and those that wait for its volume.
func (r *Reconciler) ofAttachment(ctx context.Context, o client.Object) []reconcile.Request {
	a, ok := o.(*storagev1.VolumeAttachment)
	if !ok {
		return nil
	}
	requests := []reconcile.Request{request(a.Spec.NodeName)}
	pv, err := r.volume(ctx, ptr.Deref(a.Spec.Source.PersistentVolumeName, ""))
	if err != nil || pv == nil {
		return requests
	}
	return append(requests, r.ofVolume(ctx, pv)...)
}

// ofDriver returns the nodes of all pods with its volumes: whether they have to
// be attached may have changed.
func (r *Reconciler) ofDriver(ctx context.Context, o client.Object) []reconcile.Request {
	var volumes corev1.PersistentVolumeList
	if err := r.client.List(ctx, &volumes, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing volumes of a driver", "driver", o.GetName())
		return nil
	}
	var requests []reconcile.Request
	for i := range volumes.Items {
		if pv := &volumes.Items[i]; pv.Spec.CSI != nil && pv.Spec.CSI.Driver == o.GetName() {
			requests = append(requests, r.ofVolume(ctx, pv)...)
		}
	}
	return requests
}

// users returns the nodes of pods that use a claim.
func (r *Reconciler) users(ctx context.Context, namespace, claim string) []reconcile.Request {
	var pods corev1.PodList
	if err := r.client.List(ctx, &pods, client.InNamespace(namespace), client.MatchingFields{index.PodVolumeClaim: claim}, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing pods of a claim", "namespace", namespace, "claim", claim)
		return nil
	}
	var requests []reconcile.Request
	for i := range pods.Items {
		if node := pods.Items[i].Spec.NodeName; node != "" {
			requests = append(requests, request(node))
		}
	}
	return requests
}
