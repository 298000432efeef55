package core

import (
	corev1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apis/core/validation/resources"
)

// SetPodResources completes the resources of the pod as a whole, when it states
// some. Strategies call it, on creation and on resize: it is no default of the
// version, as upstream's is not.
func SetPodResources(p *corev1.Pod) {
	r := p.Spec.Resources
	if r == nil || len(r.Requests)+len(r.Limits) == 0 {
		return
	}
	limits := resourcehelper.AggregateContainerLimits(p, resourcehelper.PodResourcesOptions{})
	requests := resourcehelper.AggregateContainerRequests(p, resourcehelper.PodResourcesOptions{})
	for name, q := range limits {
		if resources.IsHugePages(name) && !hasResource(r.Requests, name) && !hasResource(r.Limits, name) {
			setResource(&r.Limits, name, q)
		}
	}
	for name, q := range requests {
		if !hasResource(r.Requests, name) && resourcehelper.IsSupportedPodLevelResource(name) && resources.MayOvercommit(name) {
			setResource(&r.Requests, name, q)
		}
	}
	for name, q := range r.Limits {
		if !hasResource(r.Requests, name) && resourcehelper.IsSupportedPodLevelResource(name) {
			setResource(&r.Requests, name, q)
		}
	}
	for name, request := range r.Requests {
		limit, ok := limits[name]
		if !ok || !resourcehelper.IsSupportedPodLevelResource(name) || hasResource(r.Limits, name) || !allLimit(&p.Spec, name) {
			continue
		}
		if request.Cmp(limit) > 0 {
			limit = request
		}
		setResource(&r.Limits, name, limit)
	}
}

func hasResource(list corev1.ResourceList, name corev1.ResourceName) bool {
	_, ok := list[name]
	return ok
}

// allLimit reports whether all containers have a limit for name.
func allLimit(s *corev1.PodSpec, name corev1.ResourceName) bool {
	return pod.VisitContainers(s, func(c *corev1.Container, _ pod.ContainerType) bool {
		return hasResource(c.Resources.Limits, name)
	})
}

// RoundResources rounds quantities up to thousandths, as they are stored.
func RoundResources(list corev1.ResourceList) { roundResources(list) }
