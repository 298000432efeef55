package cache

import (
	"maps"
	"reflect"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// sameForNode reports whether two versions of a bound pod are the same to every
// plugin that looks at pods of a node: labels, requests (also those that a
// resize changes, in spec or status), termination and phase. Everything else of
// a pod is immutable or not looked at. Most updates of pods are of status, so
// this keeps nodes out of snapshots that did not change.
func sameForNode(a, b *v1.Pod) bool {
	if a == b {
		return true
	}
	return (a.DeletionTimestamp == nil) == (b.DeletionTimestamp == nil) &&
		maps.Equal(a.Labels, b.Labels) &&
		(a.Status.StartTime == nil) == (b.Status.StartTime == nil) &&
		sameDisruption(a, b) &&
		sameContainers(a.Spec.Containers, b.Spec.Containers) &&
		sameContainers(a.Spec.InitContainers, b.Spec.InitContainers) &&
		reflect.DeepEqual(a.Spec.Resources, b.Spec.Resources) &&
		sameAllocated(a.Status.ContainerStatuses, b.Status.ContainerStatuses) &&
		sameAllocated(a.Status.InitContainerStatuses, b.Status.InitContainerStatuses)
}

func sameDisruption(a, b *v1.Pod) bool {
	find := func(p *v1.Pod) v1.PodCondition {
		for i := range p.Status.Conditions {
			if p.Status.Conditions[i].Type == v1.DisruptionTarget {
				return p.Status.Conditions[i]
			}
		}
		return v1.PodCondition{}
	}
	x, y := find(a), find(b)
	return x.Status == y.Status && x.Reason == y.Reason
}

func sameContainers(a, b []v1.Container) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !sameList(a[i].Resources.Requests, b[i].Resources.Requests) {
			return false
		}
	}
	return true
}

// sameAllocated compares the requests that a status adds. A status that repeats
// the spec appears with the first kubelet report and changes no sum. Finding
// that out would cost a sum; the node is copied once more instead.
func sameAllocated(a, b []v1.ContainerStatus) bool {
	allocated := func(s []v1.ContainerStatus, i int) (v1.ResourceList, v1.ResourceList) {
		if i >= len(s) {
			return nil, nil
		}
		if s[i].Resources == nil {
			return s[i].AllocatedResources, nil
		}
		return s[i].AllocatedResources, s[i].Resources.Requests
	}
	for i := range max(len(a), len(b)) {
		aa, ar := allocated(a, i)
		ba, br := allocated(b, i)
		if !sameList(aa, ba) || !sameList(ar, br) {
			return false
		}
	}
	return true
}

func sameList(a, b v1.ResourceList) bool {
	return maps.EqualFunc(a, b, func(x, y resource.Quantity) bool { return x.Equal(y) })
}
