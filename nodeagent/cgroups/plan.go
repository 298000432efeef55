package cgroups

import (
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/resource"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/nodeagent/podconfig"
)

// Limits of a cgroup; zero values mean no limit.
type Limits struct {
	// CPUShares in cgroup v1's units.
	CPUShares int64
	// CPUQuota is in microseconds per podconfig.Period.
	CPUQuota int64
	// Memory is in bytes.
	Memory int64
	// PIDs bounds processes.
	PIDs int64
}

// QOSParent returns the cgroup of a pod's QoS class below root: guaranteed pods
// have none of their own.
func QOSParent(root string, class corev1.PodQOSClass) string {
	switch class {
	case corev1.PodQOSBurstable:
		return path.Join(root, "kubepods", "burstable")
	case corev1.PodQOSBestEffort:
		return path.Join(root, "kubepods", "besteffort")
	}
	return path.Join(root, "kubepods")
}

// PodPath returns a pod's cgroup.
func PodPath(root string, class corev1.PodQOSClass, uid types.UID) string {
	return path.Join(QOSParent(root, class), "pod"+string(uid))
}

// ForPod returns a pod's limits: the sum of its containers' if all of them have
// one, or those of the pod itself.
func ForPod(pod *corev1.Pod) Limits {
	requests := resource.PodRequests(pod, resource.PodResourcesOptions{})
	limits := resource.PodLimits(pod, resource.PodResourcesOptions{})
	out := Limits{CPUShares: podconfig.Shares(requests.Cpu().MilliValue())}
	if podapi.QOSClass(pod) == corev1.PodQOSBestEffort {
		out.CPUShares = podconfig.Shares(0)
		return out
	}
	if all(pod, corev1.ResourceCPU) {
		out.CPUQuota = podconfig.Quota(limits.Cpu().MilliValue())
	}
	if all(pod, corev1.ResourceMemory) {
		out.Memory = limits.Memory().Value()
	}
	return out
}

// all reports whether the resource is limited for the pod as a whole.
func all(pod *corev1.Pod, name corev1.ResourceName) bool {
	if pod.Spec.Resources != nil {
		if q, ok := pod.Spec.Resources.Limits[name]; ok && !q.IsZero() {
			return true
		}
	}
	limited := func(list []corev1.Container) bool {
		for i := range list {
			if q := list[i].Resources.Limits[name]; q.IsZero() {
				return false
			}
		}
		return true
	}
	return limited(pod.Spec.Containers) && limited(pod.Spec.InitContainers)
}

// QOSShares returns the CPU shares of the burstable class: the sum of its pods'.
func QOSShares(list []*corev1.Pod) int64 {
	var milli int64
	for _, pod := range list {
		if podapi.QOSClass(pod) == corev1.PodQOSBurstable {
			requests := resource.PodRequests(pod, resource.PodResourcesOptions{})
			milli += requests.Cpu().MilliValue()
		}
	}
	return podconfig.Shares(milli)
}
