// Package volumeexpansion records which component expands a volume when its claim asks for more:
// https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims.
//
// It wakes on bound claims that ask for more than they have. Nothing grows here. The resizers of
// CSI drivers expand those drivers' volumes, and write status.allocatedResources and conditions
// themselves. Volumes of the built-in provisioner grow in package localpath.
//
// Invariants:
//
//  1. A claim that waits for another component gets an event, one for each wish.
//  2. A claim whose volume is of a kind that a driver took over names the driver's
//     resizer.
//
// The API of this package is not stable: see docs/api.md.
package volumeexpansion

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	volumes "k8s.io/component-helpers/storage/volume"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/storage"
	"github.com/coracle-k8s/coracle/controllers"
)

// Name is the controller's name, as upstream's.
const Name = "persistentvolume-expander-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "volume_expand"

// resizerAnnotation names the component that is to grow a claim's volume.
const resizerAnnotation = "volume.kubernetes.io/storage-resizer"

// conflictRetry is how long the cache gets to learn of a write.
const conflictRetry = 20 * time.Millisecond

// Reconciler looks at one claim.
type Reconciler struct {
	client   client.Client
	recorder record.EventRecorder
	builtIn  string
}

// New returns a Reconciler. builtIn is the provisioner that grows its volumes itself.
func New(d controllers.Deps, builtIn string) *Reconciler {
	return &Reconciler{client: d.Client, recorder: d.Recorder("volume_expand"), builtIn: builtIn}
}

// grows reports whether a claim asks for more than it has.
func grows(c *corev1.PersistentVolumeClaim) bool {
	return c.Status.Phase == corev1.ClaimBound && c.Spec.Resources.Requests.Storage().Cmp(*c.Status.Capacity.Storage()) > 0
}

// plan is the message of the event, and the resizer to name if any.
type plan struct{ message, resizer string }

func planClaim(c *corev1.PersistentVolumeClaim, pv *corev1.PersistentVolume, builtIn string) plan {
	if !grows(c) || pv.Spec.ClaimRef == nil || pv.Spec.ClaimRef.UID != c.UID || pv.Annotations[volumes.AnnDynamicallyProvisioned] == builtIn {
		return plan{}
	}
	if kind := storage.InTreeProvisioner(pv); kind != "" {
		return plan{"CSI migration enabled for " + kind + "; waiting for external resizer to expand the pvc", storage.CSIDriver(kind)}
	}
	return plan{message: "waiting for an external controller to expand this PVC"}
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var claim corev1.PersistentVolumeClaim
	if err := r.client.Get(ctx, req.NamespacedName, &claim); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	var pv corev1.PersistentVolume
	if err := r.client.Get(ctx, types.NamespacedName{Name: claim.Spec.VolumeName}, &pv, client.UnsafeDisableDeepCopy); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	p := planClaim(&claim, &pv, r.builtIn)
	if p.resizer != "" && claim.Annotations[resizerAnnotation] != p.resizer {
		if claim.Annotations == nil {
			claim.Annotations = map[string]string{}
		}
		claim.Annotations[resizerAnnotation] = p.resizer
		if err := r.client.Update(ctx, &claim); err != nil {
			if apierrors.IsConflict(err) { // another client was quicker; the cache will show it
				return reconcile.Result{RequeueAfter: conflictRetry}, nil
			}
			return reconcile.Result{}, fmt.Errorf("naming the resizer of claim %s: %w", req, client.IgnoreNotFound(err))
		}
	}
	if p.message != "" {
		r.recorder.Event(&claim, corev1.EventTypeNormal, "ExternalExpanding", p.message)
	}
	return reconcile.Result{}, nil
}
