// Package ephemeralvolume makes the claims of pods' generic ephemeral volumes:
// https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#generic-ephemeral-volumes.
//
// It wakes on pods, and on the claims they own.
//
// Invariants:
//
//  1. A pod that is not being deleted has a claim for each such volume, owned by
//     it, so that the garbage collector deletes it.
//  2. A claim of that name that is not the pod's is left alone, with an event.
//
// The API of this package is not stable: see docs/api.md.
package ephemeralvolume

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-helpers/storage/ephemeral"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
)

// Name is the controller's name, as upstream's.
const Name = "ephemeral-volume-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "ephemeral_volume"

// Reconciler makes the claims of one pod.
type Reconciler struct {
	client   client.Client
	recorder record.EventRecorder
	metrics  metrics
}

// New returns a Reconciler.
func New(d controllers.Deps) *Reconciler {
	return &Reconciler{client: d.Client, recorder: d.Recorder("ephemeral_volume"), metrics: newMetrics()}
}

func has(o client.Object) bool {
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return false
	}
	for i := range pod.Spec.Volumes {
		if pod.Spec.Volumes[i].Ephemeral != nil {
			return true
		}
	}
	return false
}

// claims returns the claims that the pod must have.
func claims(pod *corev1.Pod) []*corev1.PersistentVolumeClaim {
	if pod.DeletionTimestamp != nil {
		return nil
	}
	var all []*corev1.PersistentVolumeClaim
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if v.Ephemeral == nil || v.Ephemeral.VolumeClaimTemplate == nil {
			continue
		}
		template := v.Ephemeral.VolumeClaimTemplate.DeepCopy()
		all = append(all, &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{
				Name: ephemeral.VolumeClaimName(pod, v), Namespace: pod.Namespace, Labels: template.Labels, Annotations: template.Annotations,
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(pod, corev1.SchemeGroupVersion.WithKind("Pod"))},
			},
			Spec: template.Spec,
		})
	}
	return all
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var pod corev1.Pod
	if err := r.client.Get(ctx, req.NamespacedName, &pod); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	for _, claim := range claims(&pod) {
		var found corev1.PersistentVolumeClaim
		err := r.client.Get(ctx, types.NamespacedName{Namespace: claim.Namespace, Name: claim.Name}, &found)
		switch {
		case err == nil:
			if err := ephemeral.VolumeIsForPod(&pod, &found); err != nil {
				r.recorder.Event(&pod, corev1.EventTypeWarning, "FailedBinding", fmt.Sprintf("ephemeral volume %s: %v", claim.Name, err))
				return reconcile.Result{}, err
			}
		case apierrors.IsNotFound(err):
			r.metrics.creates.Inc()
			err := r.client.Create(ctx, claim)
			if err != nil {
				r.metrics.failures.Inc()
			}
			if err != nil && !apierrors.IsAlreadyExists(err) {
				r.recorder.Event(&pod, corev1.EventTypeWarning, "FailedBinding", fmt.Sprintf("ephemeral volume %s: create PVC %s: %v", claim.Name, claim.Name, err))
				return reconcile.Result{}, fmt.Errorf("creating claim %s: %w", claim.Name, err)
			}
		default:
			return reconcile.Result{}, fmt.Errorf("reading claim %s: %w", claim.Name, err)
		}
	}
	return reconcile.Result{}, nil
}
