package volumeprotection

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/controllers"
)

// Names of the controllers and of their queues in metrics, as upstream's.
const (
	ClaimsName            = "persistentvolumeclaim-protection-controller"
	VolumesName           = "persistentvolume-protection-controller"
	AttributesClassesName = "volumeattributesclass-protection-controller"

	ClaimsQueueName            = "pvcprotection"
	VolumesQueueName           = "pvprotection"
	AttributesClassesQueueName = "vacprotection"
)

// conflictRetry is how long the cache gets to learn of a write.
const conflictRetry = 20 * time.Millisecond

// Claims protects PersistentVolumeClaims, and marks those that no pod uses.
type Claims struct {
	client client.Client
	live   client.Reader
	clock  clock.PassiveClock
}

// NewClaims returns the controller that protects claims.
func NewClaims(d controllers.Deps) *Claims {
	return &Claims{client: d.Client, live: d.Live, clock: d.Clock}
}

func claimsOf(_ context.Context, o client.Object) []reconcile.Request {
	var requests []reconcile.Request
	for _, name := range index.ByVolumeClaim(o) {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: name}})
	}
	return requests
}

// Reconcile implements reconcile.Reconciler.
func (r *Claims) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var claim corev1.PersistentVolumeClaim
	if err := r.client.Get(ctx, req.NamespacedName, &claim); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	updated, err := r.updateUse(ctx, &claim)
	if apierrors.IsConflict(err) { // another client was quicker; the cache will show it
		return reconcile.Result{RequeueAfter: conflictRetry}, nil
	}
	if updated || err != nil { // what was written brings it here again
		return reconcile.Result{}, err
	}
	return protect(ctx, r.client, req, &claim, claimFinalizer, func() (bool, error) { return r.used(ctx, &claim, usesClaim) })
}

// updateUse writes the condition Unused if it is out of date.
func (r *Claims) updateUse(ctx context.Context, claim *corev1.PersistentVolumeClaim) (updated bool, err error) {
	if claim.DeletionTimestamp != nil || claim.Status.Phase != corev1.ClaimBound {
		return false, nil // a binding must not be disturbed
	}
	used, err := r.used(ctx, claim, refersTo)
	if err != nil || !markUse(&claim.Status, used, r.clock.Now()) {
		return false, err
	}
	if err := r.client.Status().Update(ctx, claim); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("writing whether claim %s/%s is used: %w", claim.Namespace, claim.Name, err)
	}
	return true, nil
}

// used reads from the server before it returns false, but for a claim that is marked unused.
func (r *Claims) used(ctx context.Context, claim *corev1.PersistentVolumeClaim, by func(*corev1.Pod, *corev1.PersistentVolumeClaim) bool) (bool, error) {
	var pods corev1.PodList
	if err := r.client.List(ctx, &pods, client.InNamespace(claim.Namespace), client.MatchingFields{index.PodVolumeClaim: claim.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return false, fmt.Errorf("listing pods: %w", err)
	}
	if claimUsed(claim, pods.Items, by) {
		return true, nil
	}
	if c := unused(&claim.Status); claim.DeletionTimestamp == nil && c != nil && c.Status == corev1.ConditionTrue {
		return false, nil
	}
	var now corev1.PodList
	if err := r.live.List(ctx, &now, client.InNamespace(claim.Namespace)); err != nil {
		return false, fmt.Errorf("listing pods: %w", err)
	}
	return claimUsed(claim, now.Items, by), nil
}

// Volumes protects PersistentVolumes.
type Volumes struct{ client client.Client }

// NewVolumes returns the controller that protects volumes.
func NewVolumes(d controllers.Deps) *Volumes { return &Volumes{client: d.Client} }

// Reconcile implements reconcile.Reconciler.
func (r *Volumes) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var pv corev1.PersistentVolume
	return protect(ctx, r.client, req, &pv, volumeFinalizer, func() (bool, error) { return pv.Status.Phase == corev1.VolumeBound, nil })
}

// AttributesClasses protects VolumeAttributesClasses.
type AttributesClasses struct{ client client.Client }

// NewAttributesClasses returns the controller that protects classes.
func NewAttributesClasses(d controllers.Deps) *AttributesClasses {
	return &AttributesClasses{client: d.Client}
}

// deleting returns the classes that are being deleted, few if any: the event
// does not show which of them an object had before it changed.
func (r *AttributesClasses) deleting(ctx context.Context, _ client.Object) []reconcile.Request {
	var classes storagev1.VolumeAttributesClassList
	if err := r.client.List(ctx, &classes, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing volume attributes classes")
		return nil
	}
	var requests []reconcile.Request
	for i := range classes.Items {
		if classes.Items[i].DeletionTimestamp != nil {
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: classes.Items[i].Name}})
		}
	}
	return requests
}

// Reconcile implements reconcile.Reconciler.
func (r *AttributesClasses) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var class storagev1.VolumeAttributesClass
	return protect(ctx, r.client, req, &class, classFinalizer, func() (bool, error) {
		var claims corev1.PersistentVolumeClaimList
		if err := r.client.List(ctx, &claims, client.UnsafeDisableDeepCopy); err != nil {
			return false, fmt.Errorf("listing claims: %w", err)
		}
		var volumes corev1.PersistentVolumeList
		if err := r.client.List(ctx, &volumes, client.UnsafeDisableDeepCopy); err != nil {
			return false, fmt.Errorf("listing volumes: %w", err)
		}
		return classUsed(class.Name, claims.Items, volumes.Items), nil
	})
}

// protect reads obj and does with its finalizer what is planned.
func protect(ctx context.Context, c client.Client, req reconcile.Request, obj client.Object, finalizer string, used func() (bool, error)) (reconcile.Result, error) {
	if err := c.Get(ctx, req.NamespacedName, obj); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	switch plan(obj, finalizer) {
	case add:
		controllerutil.AddFinalizer(obj, finalizer)
	case removeUnlessUsed:
		if keep, err := used(); err != nil || keep {
			return reconcile.Result{}, err
		}
		controllerutil.RemoveFinalizer(obj, finalizer)
	default:
		return reconcile.Result{}, nil
	}
	err := c.Update(ctx, obj)
	if apierrors.IsConflict(err) { // another client was quicker; the cache will show it
		return reconcile.Result{RequeueAfter: conflictRetry}, nil
	}
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("protecting %s: %w", req, err)
	}
	return reconcile.Result{}, nil
}
