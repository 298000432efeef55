package pods

import (
	corev1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/component-helpers/resource"
)

// QOSClass returns the pod's class: the one in its status (the API server sets it
// and it never changes), or else the computed one. See
// https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/.
func QOSClass(pod *corev1.Pod) corev1.PodQOSClass {
	if pod.Status.QOSClass != "" {
		return pod.Status.QOSClass
	}
	any, guaranteed := false, true
	weigh := func(r *corev1.ResourceRequirements) {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			request, limit := r.Requests[name], r.Limits[name]
			any = any || !request.IsZero() || !limit.IsZero()
			// A missing request defaults to the limit.
			if _, set := r.Requests[name]; limit.IsZero() || set && request.Cmp(limit) != 0 {
				guaranteed = false
			}
		}
	}
	if resourcehelper.IsPodLevelResourcesSet(pod) {
		weigh(pod.Spec.Resources)
	} else {
		for i := range pod.Spec.InitContainers {
			weigh(&pod.Spec.InitContainers[i].Resources)
		}
		for i := range pod.Spec.Containers {
			weigh(&pod.Spec.Containers[i].Resources)
		}
	}
	switch {
	case !any:
		return corev1.PodQOSBestEffort
	case guaranteed:
		return corev1.PodQOSGuaranteed
	}
	return corev1.PodQOSBurstable
}
