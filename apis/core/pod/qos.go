package pod

import (
	corev1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/component-helpers/resource"
)

// QOSClass returns the pod's quality of service: that of its status, else the
// one computed from its resources.
func QOSClass(p *corev1.Pod) corev1.PodQOSClass {
	if p.Status.QOSClass != "" {
		return p.Status.QOSClass
	}
	return ComputeQOSClass(p)
}

// ComputeQOSClass derives the quality of service from CPU and memory alone:
// BestEffort when nothing is requested or limited, Guaranteed when every
// container limits both and requests just that, Burstable otherwise. Resources
// of the pod as a whole, when it has them, stand for those of its containers.
// See https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/.
func ComputeQOSClass(p *corev1.Pod) corev1.PodQOSClass {
	if resourcehelper.IsPodLevelResourcesSet(p) {
		return classOf(p.Spec.Resources)
	}
	var class corev1.PodQOSClass
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			switch c := classOf(&list[i].Resources); class {
			case "", c:
				class = c
			default: // some containers are guaranteed what they need, others nothing
				return corev1.PodQOSBurstable
			}
		}
	}
	if class == "" {
		return corev1.PodQOSBestEffort
	}
	return class
}

// classOf returns the class of one container, or of a pod as a whole.
func classOf(r *corev1.ResourceRequirements) corev1.PodQOSClass {
	requested := 0
	for _, name := range [...]corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		request, limit := r.Requests[name], r.Limits[name]
		if !request.Equal(limit) {
			return corev1.PodQOSBurstable
		}
		if !request.IsZero() {
			requested++
		}
	}
	switch requested {
	case 0:
		return corev1.PodQOSBestEffort
	case 1:
		return corev1.PodQOSBurstable
	}
	return corev1.PodQOSGuaranteed
}
