package volumeprotection

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/storage/ephemeral"
	"k8s.io/utils/ptr"
)

// The finalizers, as admission adds them.
const (
	claimFinalizer  = "kubernetes.io/pvc-protection"
	volumeFinalizer = "kubernetes.io/pv-protection"
	classFinalizer  = "kubernetes.io/vac-protection"
)

// step is what to do with a finalizer.
type step int

const (
	leave step = iota
	add
	removeUnlessUsed
)

func plan(obj metav1.Object, finalizer string) step {
	has := false
	for _, f := range obj.GetFinalizers() {
		has = has || f == finalizer
	}
	switch deleting := obj.GetDeletionTimestamp() != nil; {
	case !deleting && !has:
		return add
	case deleting && has:
		return removeUnlessUsed
	}
	return leave
}

// usesClaim says whether a pod keeps a claim. Pods that are not on a node yet
// do not: no agent starts a pod whose claim is being deleted.
func usesClaim(pod *corev1.Pod, claim *corev1.PersistentVolumeClaim) bool {
	if pod.Spec.NodeName == "" {
		return false
	}
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if c := v.PersistentVolumeClaim; c != nil && c.ClaimName == claim.Name {
			return true
		}
		if v.Ephemeral != nil && !shutDown(pod) && ephemeral.VolumeClaimName(pod, v) == claim.Name && ephemeral.VolumeIsForPod(pod, claim) == nil {
			return true
		}
	}
	return false
}

// shutDown says that the agent is done with a pod that waits for others to go.
func shutDown(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp != nil && pod.DeletionGracePeriodSeconds != nil && *pod.DeletionGracePeriodSeconds == 0
}

func claimUsed(claim *corev1.PersistentVolumeClaim, pods []corev1.Pod) bool {
	for i := range pods {
		if usesClaim(&pods[i], claim) {
			return true
		}
	}
	return false
}

// classesOf are the attributes classes that a claim has, had or is to have.
func classesOf(claim *corev1.PersistentVolumeClaim) []string {
	names := []string{ptr.Deref(claim.Spec.VolumeAttributesClassName, ""), ptr.Deref(claim.Status.CurrentVolumeAttributesClassName, "")}
	if m := claim.Status.ModifyVolumeStatus; m != nil {
		names = append(names, m.TargetVolumeAttributesClassName)
	}
	return names
}

func classUsed(name string, claims []corev1.PersistentVolumeClaim, volumes []corev1.PersistentVolume) bool {
	for i := range claims {
		for _, n := range classesOf(&claims[i]) {
			if n == name {
				return true
			}
		}
	}
	for i := range volumes {
		if ptr.Deref(volumes[i].Spec.VolumeAttributesClassName, "") == name {
			return true
		}
	}
	return false
}
