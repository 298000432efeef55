package persistentvolume

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	volumes "k8s.io/component-helpers/storage/volume"
)

// volumePlan holds the writes for a volume.
type volumePlan struct {
	// update is the volume with another spec, nil if it stays.
	update *corev1.PersistentVolume
	// phase to set, "" to leave it.
	phase   corev1.PersistentVolumePhase
	message string
	note    *note
	// claimNote is an Event of the claim.
	claimNote *note
	// recycle is set if the volume is to be emptied.
	recycle bool
}

// planVolume plans for a volume and the claim it refers to, nil if there is no
// such claim, or one of the same name that is another one.
func planVolume(pv *corev1.PersistentVolume, claim *corev1.PersistentVolumeClaim) volumePlan {
	ref := pv.Spec.ClaimRef
	switch {
	case ref == nil || ref.UID == "": // free, or set aside for a claim
		return volumePlan{phase: corev1.VolumeAvailable}
	case claim == nil:
		return reclaim(pv)
	case claim.Spec.VolumeName == "":
		if volumes.CheckVolumeModeMismatches(&claim.Spec, &pv.Spec) {
			return volumePlan{
				note:      warn("VolumeMismatch", fmt.Sprintf("Cannot bind PersistentVolume to requested PersistentVolumeClaim %q due to incompatible volumeMode.", claim.Name)),
				claimNote: warn("VolumeMismatch", fmt.Sprintf("Cannot bind PersistentVolume %q to requested PersistentVolumeClaim due to incompatible volumeMode.", pv.Name)),
			}
		}
		return volumePlan{} // the claim's turn
	case claim.Spec.VolumeName == pv.Name:
		return volumePlan{phase: corev1.VolumeBound}
	}
	// The claim got another volume.
	if _, provisioned := pv.Annotations[volumes.AnnDynamicallyProvisioned]; provisioned && pv.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
		return reclaim(pv)
	}
	return volumePlan{update: unbound(pv), phase: corev1.VolumeAvailable}
}

// unbound gives a volume back; one that its user set aside for a claim stays
// that.
func unbound(pv *corev1.PersistentVolume) *corev1.PersistentVolume {
	pv = pv.DeepCopy()
	if _, ok := pv.Annotations[volumes.AnnBoundByController]; !ok {
		pv.Spec.ClaimRef.UID = ""
		return pv
	}
	pv.Spec.ClaimRef = nil
	delete(pv.Annotations, volumes.AnnBoundByController)
	return pv
}

// reclaim plans what becomes of a volume without a claim. Its provisioner deletes it.
func reclaim(pv *corev1.PersistentVolume) volumePlan {
	p := volumePlan{phase: corev1.VolumeReleased}
	if pv.Status.Phase == corev1.VolumeFailed {
		return volumePlan{}
	}
	fail := func(reason, message string) volumePlan {
		return volumePlan{phase: corev1.VolumeFailed, message: message, note: warn(reason, message)}
	}
	_, provisioned := pv.Annotations[volumes.AnnDynamicallyProvisioned]
	_, migrated := pv.Annotations[volumes.AnnMigratedTo]
	switch pv.Spec.PersistentVolumeReclaimPolicy {
	case corev1.PersistentVolumeReclaimRetain:
	case corev1.PersistentVolumeReclaimRecycle:
		if recyclable(pv) {
			p.recycle = true
			break
		}
		return fail("VolumeFailedRecycle", "No recycler plugin found for the volume!")
	case corev1.PersistentVolumeReclaimDelete:
		if !provisioned && !migrated && pv.Spec.CSI == nil {
			return fail("VolumeFailedDelete", fmt.Sprintf("error getting deleter volume plugin for volume %q: no deletable volume plugin matched", pv.Name))
		}
	default:
		return fail("VolumeUnknownReclaimPolicy", "Volume has unrecognized PersistentVolumeReclaimPolicy")
	}
	return p
}
