package pod

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"
)

// QOSClass returns the pod's quality of service: what its status says, else
// what its resources amount to.
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
	sum := qosSum{requests: corev1.ResourceList{}, limits: corev1.ResourceList{}, guaranteed: true}
	if resourcehelper.IsPodLevelResourcesSet(p) {
		sum.add(p.Spec.Resources)
	} else {
		for i := range p.Spec.Containers {
			sum.add(&p.Spec.Containers[i].Resources)
		}
		for i := range p.Spec.InitContainers {
			sum.add(&p.Spec.InitContainers[i].Resources)
		}
	}
	return sum.class()
}

type qosSum struct {
	requests, limits corev1.ResourceList
	guaranteed       bool
}

func (s *qosSum) add(r *corev1.ResourceRequirements) {
	addPositive(s.requests, r.Requests)
	if addPositive(s.limits, r.Limits) < 2 {
		s.guaranteed = false
	}
}

func (s *qosSum) class() corev1.PodQOSClass {
	if len(s.requests) == 0 && len(s.limits) == 0 {
		return corev1.PodQOSBestEffort
	}
	if !s.guaranteed || len(s.requests) != len(s.limits) {
		return corev1.PodQOSBurstable
	}
	for name, req := range s.requests {
		if limit, ok := s.limits[name]; !ok || limit.Cmp(req) != 0 {
			return corev1.PodQOSBurstable
		}
	}
	return corev1.PodQOSGuaranteed
}

// addPositive adds the CPU and memory of list to total and returns how many of the two it had.
func addPositive(total, list corev1.ResourceList) int {
	n := 0
	for _, name := range [...]corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		q, ok := list[name]
		if !ok || q.Cmp(resource.Quantity{}) <= 0 {
			continue
		}
		n++
		t := total[name]
		t.Add(q)
		total[name] = t
	}
	return n
}
