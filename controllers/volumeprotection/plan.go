package volumeprotection

import (
	"slices"
	"time"

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

// step is the action on a finalizer.
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

// usesClaim reports whether a pod keeps a claim. Pods that are not on a node
// yet do not: no agent starts a pod whose claim is being deleted.
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

// shutDown reports whether the agent is done with a pod that waits for others to go.
func shutDown(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp != nil && pod.DeletionGracePeriodSeconds != nil && *pod.DeletionGracePeriodSeconds == 0
}

func claimUsed(claim *corev1.PersistentVolumeClaim, pods []corev1.Pod, by func(*corev1.Pod, *corev1.PersistentVolumeClaim) bool) bool {
	for i := range pods {
		if by(&pods[i], claim) {
			return true
		}
	}
	return false
}

// refersTo reports whether a pod that is not over needs a claim, on a node or not.
func refersTo(pod *corev1.Pod, claim *corev1.PersistentVolumeClaim) bool {
	return !over(pod) && slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
		if c := v.PersistentVolumeClaim; c != nil {
			return c.ClaimName == claim.Name
		}
		return v.Ephemeral != nil && ephemeral.VolumeClaimName(pod, &v) == claim.Name && ephemeral.VolumeIsForPod(pod, claim) == nil
	})
}

// over reports whether a pod needs no volumes any more.
func over(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed ||
		pod.DeletionTimestamp != nil && !slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool {
			return s.State.Terminated == nil && s.State.Waiting == nil
		})
}

// unused returns the condition with the time since which no pod refers to a
// claim, nil if there is none.
func unused(s *corev1.PersistentVolumeClaimStatus) *corev1.PersistentVolumeClaimCondition {
	for i := range s.Conditions {
		if s.Conditions[i].Type == corev1.PersistentVolumeClaimUnused {
			return &s.Conditions[i]
		}
	}
	return nil
}

// markUse sets the condition by whether a claim is used, and reports whether it changed.
func markUse(s *corev1.PersistentVolumeClaimStatus, used bool, now time.Time) bool {
	want := corev1.PersistentVolumeClaimCondition{Type: corev1.PersistentVolumeClaimUnused, Status: corev1.ConditionTrue,
		Reason: "NoPodsUsingPVC", Message: "No pods are currently referencing this PVC", LastTransitionTime: metav1.NewTime(now)}
	if used {
		want.Status, want.Reason, want.Message = corev1.ConditionFalse, "PodUsingPVC", "A pod is currently referencing this PVC"
	}
	have := unused(s)
	switch {
	case have == nil:
		s.Conditions = append(s.Conditions, want)
	case have.Status == want.Status:
		return false
	default:
		*have = want
	}
	return true
}

// classesOf returns the attributes classes that a claim has, had or is to have.
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
