package queue

import (
	"maps"
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	resourcehelper "k8s.io/component-helpers/resource"
	"k8s.io/dynamic-resource-allocation/resourceclaim"
	fwk "k8s.io/kube-scheduler/framework"
)

// PodChanges names what changed of a pod that scheduling may care about, as
// events on the pod itself (TargetPod). Of its status only the names of claims
// made for it count.
func PodChanges(old, pod *v1.Pod) []fwk.ClusterEvent {
	var events []fwk.ClusterEvent
	add := func(changed bool, a fwk.ActionType) {
		if changed {
			events = append(events, fwk.ClusterEvent{Resource: fwk.TargetPod, ActionType: a})
		}
	}
	add(!maps.Equal(old.Labels, pod.Labels), fwk.UpdatePodLabel)
	add(requestsShrank(old, pod), fwk.UpdatePodScaleDown)
	add(len(pod.Spec.Tolerations) != len(old.Spec.Tolerations), fwk.UpdatePodToleration)
	add(len(old.Spec.SchedulingGates) > 0 && len(pod.Spec.SchedulingGates) == 0, fwk.UpdatePodSchedulingGatesEliminated)
	add(!resourceclaim.PodStatusEqual(old.Status.ResourceClaimStatuses, pod.Status.ResourceClaimStatuses), fwk.UpdatePodGeneratedResourceClaim)
	return events
}

func requestsShrank(old, pod *v1.Pod) bool {
	if sameRequests(old.Spec.Containers, pod.Spec.Containers) && equality.Semantic.DeepEqual(old.Spec.Resources, pod.Spec.Resources) {
		return false
	}
	opts := resourcehelper.PodResourcesOptions{UseStatusResources: true}
	was, is := resourcehelper.PodRequests(old, opts), resourcehelper.PodRequests(pod, opts)
	for name, q := range was {
		if now := is[name]; now.Cmp(q) < 0 {
			return true
		}
	}
	return false
}

func sameRequests(a, b []v1.Container) bool {
	return slices.EqualFunc(a, b, func(x, y v1.Container) bool {
		return equality.Semantic.DeepEqual(x.Resources.Requests, y.Resources.Requests)
	})
}

// NodeChanges names what changed of a node that scheduling may care about.
func NodeChanges(old, node *v1.Node) []fwk.ClusterEvent {
	var action fwk.ActionType
	if !equality.Semantic.DeepEqual(old.Status.Allocatable, node.Status.Allocatable) {
		action |= fwk.UpdateNodeAllocatable
	}
	if !maps.Equal(old.Labels, node.Labels) {
		action |= fwk.UpdateNodeLabel
	}
	if old.Spec.Unschedulable != node.Spec.Unschedulable || !equality.Semantic.DeepEqual(old.Spec.Taints, node.Spec.Taints) {
		action |= fwk.UpdateNodeTaint
	}
	if !maps.Equal(old.Annotations, node.Annotations) {
		action |= fwk.UpdateNodeAnnotation
	}
	if !sameConditions(old.Status.Conditions, node.Status.Conditions) {
		action |= fwk.UpdateNodeCondition
	}
	if !slices.Equal(old.Status.DeclaredFeatures, node.Status.DeclaredFeatures) {
		action |= fwk.UpdateNodeDeclaredFeature
	}
	var events []fwk.ClusterEvent
	for _, a := range []fwk.ActionType{fwk.UpdateNodeAllocatable, fwk.UpdateNodeLabel, fwk.UpdateNodeTaint, fwk.UpdateNodeAnnotation,
		fwk.UpdateNodeCondition, fwk.UpdateNodeDeclaredFeature} {
		if action&a != 0 {
			events = append(events, fwk.ClusterEvent{Resource: fwk.Node, ActionType: a})
		}
	}
	return events
}

func sameConditions(a, b []v1.NodeCondition) bool {
	return slices.EqualFunc(a, b, func(x, y v1.NodeCondition) bool { return x.Type == y.Type && x.Status == y.Status })
}
