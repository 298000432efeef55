package resourceclaim

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// release frees one claim. A request names a ResourceClaim.
func (r *Reconciler) release(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	claim := &resourcev1.ResourceClaim{}
	if err := r.client.Get(ctx, req.NamespacedName, claim); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	stale := map[types.UID]bool{}
	for _, c := range claim.Status.ReservedFor {
		if !isPod(c) {
			continue
		}
		var err error
		if stale[c.UID], err = r.needless(ctx, claim.Namespace, c); err != nil {
			return reconcile.Result{}, err
		}
	}
	var named *corev1.Pod
	if owner := owningPod(claim); owner != nil {
		var pod corev1.Pod
		err := r.client.Get(ctx, types.NamespacedName{Namespace: claim.Namespace, Name: owner.Name}, &pod, client.UnsafeDisableDeepCopy)
		if client.IgnoreNotFound(err) != nil {
			return reconcile.Result{}, fmt.Errorf("getting pod %s/%s: %w", claim.Namespace, owner.Name, err)
		}
		if err == nil { // else the garbage collector sees to it
			named = &pod
		}
	}
	err := r.apply(ctx, claim, planClaim(claim, stale, named))
	return reconcile.Result{}, client.IgnoreNotFound(err)
}

func (r *Reconciler) apply(ctx context.Context, claim *resourcev1.ResourceClaim, a claimActions) error {
	if a.status != nil {
		claim = a.status
		if err := r.client.Status().Update(ctx, claim); err != nil {
			return fmt.Errorf("freeing claim %s/%s: %w", claim.Namespace, claim.Name, err)
		}
	}
	if a.unprotect && controllerutil.RemoveFinalizer(claim, resourcev1.Finalizer) {
		if err := r.client.Update(ctx, claim); err != nil {
			return fmt.Errorf("removing the finalizer of claim %s/%s: %w", claim.Namespace, claim.Name, err)
		}
	}
	if a.remove {
		if err := r.client.Delete(ctx, claim, client.Preconditions{UID: &claim.UID}); err != nil {
			return fmt.Errorf("delete unused generated claim %s/%s: %w", claim.Namespace, claim.Name, err)
		}
	}
	return nil
}

// needless reports whether a pod needs its claims no more.
func (r *Reconciler) needless(ctx context.Context, namespace string, c resourcev1.ResourceClaimConsumerReference) (bool, error) {
	for _, reader := range []client.Reader{r.client, r.live} {
		var pod corev1.Pod
		err := reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: c.Name}, &pod)
		switch {
		case err == nil:
			return pod.UID != c.UID || done(&pod), nil
		case !apierrors.IsNotFound(err):
			return false, fmt.Errorf("getting pod %s/%s: %w", namespace, c.Name, err)
		}
	}
	return true, nil
}
