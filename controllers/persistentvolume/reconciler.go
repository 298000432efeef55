package persistentvolume

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	volumes "k8s.io/component-helpers/storage/volume"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/apis/storage"
	"github.com/coracle-k8s/coracle/controllers"
)

// Name is the controller's name, as upstream's.
const Name = "persistentvolume-binder-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "claims"

// conflictRetry is how long the cache gets to learn of a write.
const conflictRetry = 20 * time.Millisecond

// Reconciler binds one claim, or takes care of one volume.
type Reconciler struct {
	client   client.Client
	live     client.Reader
	recorder record.EventRecorder
}

// New returns a Reconciler.
func New(d controllers.Deps) *Reconciler {
	return &Reconciler{client: d.Client, live: d.Live, recorder: d.Recorder("persistentvolume-controller")}
}

func named(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

// volumeOf returns the volume of a claim. For a claim that goes before it names
// its volume, it is the volume that refers to the claim.
func (r *Reconciler) volumeOf(ctx context.Context, o client.Object) []reconcile.Request {
	c, ok := o.(*corev1.PersistentVolumeClaim)
	if !ok || c.Spec.VolumeName == "" && c.DeletionTimestamp == nil {
		return nil
	}
	if c.Spec.VolumeName != "" {
		return []reconcile.Request{named("", c.Spec.VolumeName)}
	}
	var all corev1.PersistentVolumeList
	if err := r.client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range all.Items {
		if ref := all.Items[i].Spec.ClaimRef; ref != nil && ref.UID == c.UID {
			requests = append(requests, named("", all.Items[i].Name))
		}
	}
	return requests
}

func (r *Reconciler) ofVolume(ctx context.Context, o client.Object) []reconcile.Request {
	pv, ok := o.(*corev1.PersistentVolume)
	if !ok {
		return nil
	}
	requests := []reconcile.Request{named("", pv.Name)}
	if ref := pv.Spec.ClaimRef; ref != nil {
		return append(requests, named(ref.Namespace, ref.Name))
	}
	class := volumes.GetPersistentVolumeClass(pv)
	return append(requests, r.waiting(ctx, func(c *corev1.PersistentVolumeClaim) bool {
		return c.Spec.VolumeName == pv.Name || c.Spec.VolumeName == "" && volumes.GetPersistentVolumeClaimClass(c) == class
	})...)
}

func (r *Reconciler) waitingFor(ctx context.Context, o client.Object) []reconcile.Request {
	return r.waiting(ctx, func(c *corev1.PersistentVolumeClaim) bool {
		return volumes.GetPersistentVolumeClaimClass(c) == o.GetName() || !volumes.PersistentVolumeClaimHasClass(c)
	})
}

// delayedOf returns the claims of a new pod that may wait for it: their events name it.
func (r *Reconciler) delayedOf(ctx context.Context, o client.Object) []reconcile.Request {
	var requests []reconcile.Request
	for _, name := range index.ByVolumeClaim(o) {
		var claim corev1.PersistentVolumeClaim
		err := r.client.Get(ctx, types.NamespacedName{Namespace: o.GetNamespace(), Name: name}, &claim, client.UnsafeDisableDeepCopy)
		if err == nil && claim.Spec.VolumeName == "" {
			requests = append(requests, named(o.GetNamespace(), name))
		}
	}
	return requests
}

// waiting returns the claims that are not bound and for which f holds.
func (r *Reconciler) waiting(ctx context.Context, f func(*corev1.PersistentVolumeClaim) bool) []reconcile.Request {
	var list corev1.PersistentVolumeClaimList
	if err := r.client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing claims")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if c := &list.Items[i]; c.Status.Phase != corev1.ClaimBound && f(c) {
			requests = append(requests, named(c.Namespace, c.Name))
		}
	}
	return requests
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var again time.Duration
	var err error
	if req.Namespace != "" {
		err = r.reconcileClaim(ctx, req.NamespacedName)
	} else {
		again, err = r.reconcileVolume(ctx, req.Name)
	}
	if apierrors.IsConflict(err) { // another client was quicker; the cache will show it
		return reconcile.Result{RequeueAfter: conflictRetry}, nil
	}
	return reconcile.Result{RequeueAfter: again}, err
}

func (r *Reconciler) reconcileClaim(ctx context.Context, key types.NamespacedName) error {
	var claim corev1.PersistentVolumeClaim
	if err := r.client.Get(ctx, key, &claim); err != nil {
		return client.IgnoreNotFound(err)
	}
	var failed error
	keep := func(err error) bool {
		if failed == nil && !apierrors.IsNotFound(err) {
			failed = err
		}
		return err == nil
	}
	plan, err := planClaim(&claim, observed{
		volume: func(name string) *corev1.PersistentVolume {
			var pv corev1.PersistentVolume
			if !keep(r.client.Get(ctx, types.NamespacedName{Name: name}, &pv)) {
				return nil
			}
			return &pv
		},
		volumes: func() []*corev1.PersistentVolume {
			var list corev1.PersistentVolumeList
			keep(r.client.List(ctx, &list, client.UnsafeDisableDeepCopy))
			all := make([]*corev1.PersistentVolume, len(list.Items))
			for i := range list.Items {
				all[i] = &list.Items[i]
			}
			return all
		},
		class: func(name string) *storagev1.StorageClass {
			var class storagev1.StorageClass
			if !keep(r.client.Get(ctx, types.NamespacedName{Name: name}, &class)) {
				return nil
			}
			return &class
		},
		defaultClass: func() string {
			var list storagev1.StorageClassList
			keep(r.client.List(ctx, &list, client.UnsafeDisableDeepCopy))
			return storage.DefaultClass(list.Items)
		},
		consumers: func() []string {
			names, err := r.unscheduled(ctx, key)
			keep(err)
			return names
		},
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("planning for claim %s: %w", key, err)
	}
	return r.applyClaim(ctx, &claim, plan)
}

// unscheduled returns the names of pods without a node that use a claim.
func (r *Reconciler) unscheduled(ctx context.Context, claim types.NamespacedName) ([]string, error) {
	var pods corev1.PodList
	if err := r.client.List(ctx, &pods, client.InNamespace(claim.Namespace), client.MatchingFields{index.PodVolumeClaim: claim.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing pods of claim %s: %w", claim, err)
	}
	var names []string
	for i := range pods.Items {
		if pod := &pods.Items[i]; pod.Spec.NodeName == "" && pod.DeletionTimestamp == nil {
			names = append(names, pod.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (r *Reconciler) applyClaim(ctx context.Context, claim *corev1.PersistentVolumeClaim, p claimPlan) error {
	switch {
	case p.bind != nil:
		return r.bind(ctx, claim, p.bind)
	case p.class != "":
		claim.Spec.StorageClassName = &p.class
		return r.client.Update(ctx, claim) // which brings it here again
	}
	if p.note != nil {
		r.recorder.Event(claim, p.note.eventType, p.note.reason, p.note.message)
	}
	if p.provisioner != "" && claim.Annotations[volumes.AnnStorageProvisioner] != p.provisioner {
		if claim.Annotations == nil {
			claim.Annotations = map[string]string{}
		}
		claim.Annotations[volumes.AnnStorageProvisioner] = p.provisioner
		claim.Annotations[volumes.AnnBetaStorageProvisioner] = p.provisioner
		if err := r.client.Update(ctx, claim); err != nil {
			return err
		}
	}
	if s := &claim.Status; p.phase == "" || s.Phase == p.phase && s.AccessModes == nil && s.Capacity == nil && s.CurrentVolumeAttributesClassName == nil {
		return nil
	}
	claim.Status.Phase, claim.Status.AccessModes, claim.Status.Capacity, claim.Status.CurrentVolumeAttributesClassName = p.phase, nil, nil, nil
	return r.client.Status().Update(ctx, claim)
}

// bind writes a binding, or what is missing of it.
func (r *Reconciler) bind(ctx context.Context, claim *corev1.PersistentVolumeClaim, pv *corev1.PersistentVolume) error {
	bound, dirty, err := volumes.GetBindVolumeToClaim(pv, claim)
	if err != nil {
		return fmt.Errorf("binding claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	if bound == pv {
		bound = pv.DeepCopy()
	}
	if dirty {
		if err := r.client.Update(ctx, bound); err != nil {
			return err
		}
	}
	if bound.Status.Phase != corev1.VolumeBound {
		bound.Status.Phase, bound.Status.Message, bound.Status.LastPhaseTransitionTime = corev1.VolumeBound, "", nil
		if err := r.client.Status().Update(ctx, bound); err != nil {
			return err
		}
	}
	spec, status := boundClaim(claim, bound)
	if !equality.Semantic.DeepEqual(spec, claim) {
		if err := r.client.Update(ctx, spec); err != nil {
			return err
		}
		status.ResourceVersion = spec.ResourceVersion
	}
	if equality.Semantic.DeepEqual(status.Status, claim.Status) {
		return nil
	}
	return r.client.Status().Update(ctx, status)
}

func (r *Reconciler) reconcileVolume(ctx context.Context, name string) (again time.Duration, err error) {
	var pv corev1.PersistentVolume
	if err := r.client.Get(ctx, types.NamespacedName{Name: name}, &pv); err != nil {
		return 0, client.IgnoreNotFound(err)
	}
	claim, err := r.claimOf(ctx, &pv)
	if err != nil {
		return 0, err
	}
	p := planVolume(&pv, claim)
	if p.claimNote != nil {
		r.recorder.Event(claim, p.claimNote.eventType, p.claimNote.reason, p.claimNote.message)
	}
	if err := r.applyVolume(ctx, &pv, p); err != nil || !p.recycle {
		return 0, err
	}
	end, emptied, again, err := r.recycle(ctx, &pv)
	if err != nil || end == nil {
		return again, err
	}
	if emptied {
		return 0, r.applyVolume(ctx, &pv, volumePlan{note: end, update: unbound(&pv), phase: corev1.VolumeAvailable})
	}
	return 0, r.applyVolume(ctx, &pv, volumePlan{note: end, phase: corev1.VolumeFailed, message: end.message})
}

// applyVolume does what concerns the volume alone, and leaves pv as written.
func (r *Reconciler) applyVolume(ctx context.Context, pv *corev1.PersistentVolume, p volumePlan) error {
	if p.note != nil {
		r.recorder.Event(pv, p.note.eventType, p.note.reason, p.note.message)
	}
	if p.update != nil {
		if err := r.client.Update(ctx, p.update); err != nil {
			return err
		}
		*pv = *p.update
	}
	if p.phase == "" || pv.Status.Phase == p.phase {
		return nil
	}
	pv.Status.Phase, pv.Status.Message, pv.Status.LastPhaseTransitionTime = p.phase, p.message, nil
	return r.client.Status().Update(ctx, pv)
}

// claimOf returns the claim that a volume refers to, nil if it is gone for sure.
func (r *Reconciler) claimOf(ctx context.Context, pv *corev1.PersistentVolume) (*corev1.PersistentVolumeClaim, error) {
	ref := pv.Spec.ClaimRef
	if ref == nil || ref.UID == "" {
		return nil, nil
	}
	var claim corev1.PersistentVolumeClaim
	for _, reader := range []client.Reader{r.client, r.live} {
		err := reader.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, &claim)
		if err == nil && claim.UID == ref.UID {
			return &claim, nil
		}
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("reading the claim of volume %s: %w", pv.Name, err)
		}
	}
	return nil, nil
}
