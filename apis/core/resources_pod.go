package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"
)

// CompletePodResources completes the resources of the pod as a whole, when it
// states some, from those of its containers: limits on huge pages, then requests,
// then, where every container has one, limits. Strategies call it after admission,
// which may add containers.
func CompletePodResources(p *corev1.Pod) {
	r := p.Spec.Resources
	if r == nil || len(r.Requests)+len(r.Limits) == 0 {
		return
	}
	limits := resourcehelper.AggregateContainerLimits(p, resourcehelper.PodResourcesOptions{})
	for name, q := range limits {
		_, requested := r.Requests[name]
		if resourcehelper.IsSupportedPodLevelResource(name) && isHugePages(name) && !requested {
			addResource(&r.Limits, name, q)
		}
	}
	requests := resourcehelper.AggregateContainerRequests(p, resourcehelper.PodResourcesOptions{})
	for name, q := range requests {
		if resourcehelper.IsSupportedPodLevelResource(name) && !isHugePages(name) {
			addResource(&r.Requests, name, q)
		}
	}
	for name, q := range r.Limits {
		if resourcehelper.IsSupportedPodLevelResource(name) {
			addResource(&r.Requests, name, q)
		}
	}
	for name, request := range r.Requests {
		limit, ok := limits[name]
		if !ok || !resourcehelper.IsSupportedPodLevelResource(name) || !limitedEverywhere(&p.Spec, name) {
			continue
		}
		if request.Cmp(limit) > 0 {
			limit = request
		}
		addResource(&r.Limits, name, limit)
	}
}

// limitedEverywhere reports whether every container limits the resource.
// Ephemeral containers, which limit nothing, count as well.
func limitedEverywhere(s *corev1.PodSpec, name corev1.ResourceName) bool {
	for _, list := range [][]corev1.Container{s.InitContainers, s.Containers} {
		for i := range list {
			if _, ok := list[i].Resources.Limits[name]; !ok {
				return false
			}
		}
	}
	return len(s.EphemeralContainers) == 0
}

// addResource adds a resource to a list that does not have it.
func addResource(list *corev1.ResourceList, name corev1.ResourceName, q resource.Quantity) {
	if _, ok := (*list)[name]; !ok {
		setResource(list, name, q)
	}
}

func setResource(list *corev1.ResourceList, name corev1.ResourceName, q resource.Quantity) {
	if *list == nil {
		*list = corev1.ResourceList{}
	}
	(*list)[name] = q.DeepCopy()
}
