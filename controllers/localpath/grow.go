package localpath

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	volumes "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// growth holds the remaining writes for a claim that asks for more: its states
// as resizers of CSI drivers write them, and between them the volume's capacity.
// A directory has as much room as its disk, so nothing happens on the node.
type growth struct {
	begin  *corev1.PersistentVolumeClaim
	volume *corev1.PersistentVolume
	finish *corev1.PersistentVolumeClaim
}

// planGrowth returns nil if the claim has what it asks for, or may not grow.
func planGrowth(c *corev1.PersistentVolumeClaim, pv *corev1.PersistentVolume, class *storagev1.StorageClass, now metav1.Time) *growth {
	wanted := c.Spec.Resources.Requests[corev1.ResourceStorage]
	if c.Status.Phase != corev1.ClaimBound || c.DeletionTimestamp != nil || wanted.Cmp(*c.Status.Capacity.Storage()) <= 0 ||
		pv.Annotations[volumes.AnnDynamicallyProvisioned] != Provisioner || pv.Spec.ClaimRef == nil || pv.Spec.ClaimRef.UID != c.UID ||
		class == nil || !ptr.Deref(class.AllowVolumeExpansion, false) {
		return nil
	}
	g := &growth{}
	after := c.DeepCopy()
	s := &after.Status
	resizing := s.AllocatedResourceStatuses[corev1.ResourceStorage] == corev1.PersistentVolumeClaimControllerResizeInProgress
	if !resizing || wanted.Cmp(*s.AllocatedResources.Storage()) != 0 {
		s.AllocatedResources = corev1.ResourceList{corev1.ResourceStorage: wanted}
		s.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{
			corev1.ResourceStorage: corev1.PersistentVolumeClaimControllerResizeInProgress,
		}
		s.Conditions = append(without(s.Conditions), corev1.PersistentVolumeClaimCondition{
			Type: corev1.PersistentVolumeClaimResizing, Status: corev1.ConditionTrue, LastTransitionTime: now,
		})
		g.begin = after.DeepCopy()
	}
	if wanted.Cmp(*pv.Spec.Capacity.Storage()) > 0 {
		g.volume = pv.DeepCopy()
		g.volume.Spec.Capacity[corev1.ResourceStorage] = wanted
	}
	s.Capacity[corev1.ResourceStorage] = wanted
	s.AllocatedResourceStatuses = nil
	s.Conditions = without(s.Conditions)
	g.finish = after
	return g
}

// without leaves out the conditions of a claim that is growing.
func without(conditions []corev1.PersistentVolumeClaimCondition) []corev1.PersistentVolumeClaimCondition {
	return slices.DeleteFunc(slices.Clone(conditions), func(c corev1.PersistentVolumeClaimCondition) bool {
		return c.Type == corev1.PersistentVolumeClaimResizing || c.Type == corev1.PersistentVolumeClaimFileSystemResizePending
	})
}

// grow gives a bound claim of this provisioner what it asks for.
func (r *Reconciler) grow(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	if claim.Spec.Resources.Requests.Storage().Cmp(*claim.Status.Capacity.Storage()) <= 0 {
		return nil
	}
	var pv corev1.PersistentVolume
	if err := r.client.Get(ctx, types.NamespacedName{Name: claim.Spec.VolumeName}, &pv); err != nil {
		return client.IgnoreNotFound(err)
	}
	var class storagev1.StorageClass
	if err := r.client.Get(ctx, types.NamespacedName{Name: volumes.GetPersistentVolumeClaimClass(claim)}, &class); err != nil {
		return client.IgnoreNotFound(err)
	}
	g := planGrowth(claim, &pv, &class, metav1.NewTime(r.clock.Now()))
	if g == nil {
		return nil
	}
	if g.begin != nil {
		r.recorder.Eventf(claim, corev1.EventTypeNormal, "Resizing", "External resizer is resizing volume %s", pv.Name)
		if err := r.client.Status().Update(ctx, g.begin); err != nil {
			return fmt.Errorf("beginning to grow claim %s/%s: %w", claim.Namespace, claim.Name, err)
		}
		g.finish.ResourceVersion = g.begin.ResourceVersion
	}
	if g.volume != nil {
		if err := r.client.Update(ctx, g.volume); err != nil {
			return fmt.Errorf("growing volume %s: %w", pv.Name, err)
		}
	}
	if err := r.client.Status().Update(ctx, g.finish); err != nil {
		return fmt.Errorf("growing claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	r.recorder.Event(claim, corev1.EventTypeNormal, "VolumeResizeSuccessful", "Resize volume succeeded")
	return nil
}
