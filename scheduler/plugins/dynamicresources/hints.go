package dynamicresources

import (
	"context"

	v1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
)

// EventsToRegister waits for claims, for what they may get, for nodes, and for
// pods that were to be bound and give back what was taken for them.
func (p *DynamicResources) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	on := func(r fwk.EventResource, a fwk.ActionType, f fwk.QueueingHintFn) fwk.ClusterEventWithHint {
		return fwk.ClusterEventWithHint{Event: fwk.ClusterEvent{Resource: r, ActionType: a}, QueueingHintFn: f}
	}
	return []fwk.ClusterEventWithHint{
		on(fwk.Node, fwk.Add|fwk.UpdateNodeLabel|fwk.UpdateNodeAllocatable, nil),
		on(fwk.ResourceClaim, fwk.Add|fwk.Update|fwk.Delete, p.claimChanged),
		on(fwk.TargetPod, fwk.UpdatePodGeneratedResourceClaim, p.claimsNamed),
		on(fwk.DeviceClass, fwk.Add|fwk.Update, nil),
		on(fwk.ResourceSlice, fwk.Add|fwk.Update, nil),
		on(fwk.AssignedPod, fwk.Delete, podGone),
	}, nil
}

func queueIf(yes bool) (fwk.QueueingHint, error) {
	if yes {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}

// claimChanged wakes a pod for its own claims, and for devices that become free.
func (p *DynamicResources) claimChanged(_ klog.Logger, pod *v1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	old, _ := oldObj.(*resourcev1.ResourceClaim)
	changed, _ := newObj.(*resourcev1.ResourceClaim)
	if changed == nil {
		return queueIf(old == nil || old.Status.Allocation != nil)
	}
	claims, err := p.claimsOf(pod)
	if err != nil {
		return fwk.QueueSkip, nil // It waits for other claims too.
	}
	if old != nil && old.Status.Allocation != nil && changed.Status.Allocation == nil {
		return fwk.Queue, nil
	}
	for _, c := range claims {
		if c.UID == changed.UID {
			return queueIf(old == nil || !equality.Semantic.DeepEqual(old.Status, changed.Status))
		}
	}
	return fwk.QueueSkip, nil
}

// claimsNamed wakes a pod when all its claims are there.
func (p *DynamicResources) claimsNamed(_ klog.Logger, _ *v1.Pod, _, newObj any) (fwk.QueueingHint, error) {
	pod, ok := newObj.(*v1.Pod)
	if !ok {
		return fwk.Queue, nil
	}
	_, err := p.claimsOf(pod)
	return queueIf(err == nil)
}

func podGone(_ klog.Logger, _ *v1.Pod, oldObj, _ any) (fwk.QueueingHint, error) {
	old, ok := oldObj.(*v1.Pod)
	return queueIf(!ok || len(old.Spec.ResourceClaims) > 0 || old.Status.ExtendedResourceClaimStatus != nil)
}
