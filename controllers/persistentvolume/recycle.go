package persistentvolume

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/index"
)

// Recycling, deprecated as it is, empties a volume by a pod and gives it back:
// https://kubernetes.io/docs/concepts/storage/persistent-volumes/#recycle.
const (
	recyclerPrefix    = "recycler-for-"
	recyclerNamespace = metav1.NamespaceDefault
	recyclerImage     = "registry.k8s.io/build-image/debian-base:bookworm-v1.0.6"

	// usedRetry is how long after its pods were seen a volume is looked at again.
	usedRetry = 15 * time.Second
)

// recyclable reports whether a pod can empty a volume: other kinds need a driver.
func recyclable(pv *corev1.PersistentVolume) bool {
	return pv.Spec.HostPath != nil || pv.Spec.NFS != nil
}

// recyclerPod empties a volume. It has 30 s for each GiB, and at least a minute
// or, over a network, five.
func recyclerPod(pv *corev1.PersistentVolume) *corev1.Pod {
	source, least := corev1.VolumeSource{HostPath: pv.Spec.HostPath}, int64(60)
	if pv.Spec.NFS != nil {
		source, least = corev1.VolumeSource{NFS: pv.Spec.NFS}, 300
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: recyclerNamespace, Name: recyclerPrefix + pv.Name},
		Spec: corev1.PodSpec{
			ActiveDeadlineSeconds: ptr.To(max(least, pv.Spec.Capacity.Storage().Value()>>30*30)),
			RestartPolicy:         corev1.RestartPolicyNever,
			Volumes:               []corev1.Volume{{Name: "vol", VolumeSource: source}},
			Containers: []corev1.Container{{
				Name: "pv-recycler", Image: recyclerImage, Command: []string{"/bin/sh"},
				Args:         []string{"-c", `test -e /scrub && find /scrub -mindepth 1 -delete && test -z "$(ls -A /scrub)" || exit 1`},
				VolumeMounts: []corev1.VolumeMount{{Name: "vol", MountPath: "/scrub"}},
			}},
		},
	}
	if a := pv.Spec.NodeAffinity; a != nil && a.Required != nil {
		pod.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: a.Required}}
	}
	return pod
}

// recyclerEnds lets through what recyclers' pods come to.
func recyclerEnds() predicate.Predicate {
	ended := func(o client.Object) bool {
		pod, ok := o.(*corev1.Pod)
		return ok && pod.Namespace == recyclerNamespace && strings.HasPrefix(pod.Name, recyclerPrefix) &&
			(pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed)
	}
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return ended(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool { return ended(e.ObjectNew) },
		DeleteFunc: func(event.DeleteEvent) bool { return false },
	}
}

func recycledBy(_ context.Context, o client.Object) []reconcile.Request {
	return []reconcile.Request{named("", strings.TrimPrefix(o.GetName(), recyclerPrefix))}
}

// recycle brings a released volume one step on. It returns the note that ends
// it, and whether the volume is empty.
func (r *Reconciler) recycle(ctx context.Context, pv *corev1.PersistentVolume) (end *note, emptied bool, again time.Duration, err error) {
	if users, err := r.users(ctx, pv); err != nil || len(users) > 0 {
		if len(users) > 0 {
			r.recorder.Event(pv, corev1.EventTypeNormal, "VolumeFailedRecycle", "Volume is used by pods: "+strings.Join(users, ","))
		}
		return nil, false, usedRetry, err
	}
	pod := recyclerPod(pv)
	var there corev1.Pod
	err = r.client.Get(ctx, client.ObjectKeyFromObject(pod), &there)
	if apierrors.IsNotFound(err) {
		// It may have ended, and the cache know of its deletion, but not of what
		// became of the volume.
		var latest corev1.PersistentVolume
		if err := r.live.Get(ctx, client.ObjectKeyFromObject(pv), &latest); err != nil || latest.ResourceVersion != pv.ResourceVersion {
			return nil, false, conflictRetry, client.IgnoreNotFound(err)
		}
		if err := r.client.Create(ctx, pod); err != nil && !apierrors.IsAlreadyExists(err) {
			return nil, false, 0, fmt.Errorf("recycling volume %s: %w", pv.Name, err)
		}
		return nil, false, 0, nil
	}
	if err != nil {
		return nil, false, 0, fmt.Errorf("reading the recycler of volume %s: %w", pv.Name, err)
	}
	switch there.Status.Phase {
	case corev1.PodSucceeded:
		end, emptied = normal("VolumeRecycled", "Volume recycled"), true
	case corev1.PodFailed:
		why := there.Status.Message
		if why == "" {
			why = "pod failed, pod.Status.Message unknown"
		}
		end = warn("VolumeFailedRecycle", "Recycle failed: failed to recycle volume: "+why)
	default:
		return nil, false, 0, nil // its end will trigger a reconcile
	}
	if err := r.client.Delete(ctx, &there, client.Preconditions{UID: &there.UID}, client.GracePeriodSeconds(0)); client.IgnoreNotFound(err) != nil {
		return nil, false, 0, fmt.Errorf("deleting the recycler of volume %s: %w", pv.Name, err)
	}
	return end, emptied, 0, nil
}

// users returns pods of the claim that a volume had, unless there is a new
// claim of that name, which has another volume.
func (r *Reconciler) users(ctx context.Context, pv *corev1.PersistentVolume) ([]string, error) {
	ref := pv.Spec.ClaimRef
	var claim corev1.PersistentVolumeClaim
	err := r.client.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, &claim, client.UnsafeDisableDeepCopy)
	if !apierrors.IsNotFound(err) {
		return nil, err
	}
	var pods corev1.PodList
	if err := r.client.List(ctx, &pods, client.InNamespace(ref.Namespace), client.MatchingFields{index.PodVolumeClaim: ref.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing pods of volume %s: %w", pv.Name, err)
	}
	var names []string
	for i := range pods.Items {
		if p := &pods.Items[i]; p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			names = append(names, p.Namespace+"/"+p.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}
