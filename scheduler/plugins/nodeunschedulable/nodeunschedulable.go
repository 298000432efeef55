// Package nodeunschedulable keeps pods off cordoned nodes.
//
// The API of this package is not stable: see docs/api.md.
package nodeunschedulable

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	v1helper "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
)

const (
	// Name is the plugin's name in Kubernetes.
	Name = "NodeUnschedulable"
	// ErrReason is the message for a refused node.
	ErrReason = "node(s) were unschedulable"
)

// NodeUnschedulable is the Filter plugin.
type NodeUnschedulable struct{}

var _ fwk.FilterPlugin = &NodeUnschedulable{}
var _ fwk.EnqueueExtensions = &NodeUnschedulable{}

// New returns the plugin.
func New() *NodeUnschedulable { return &NodeUnschedulable{} }

func (*NodeUnschedulable) Name() string { return Name }

// EventsToRegister waits for an uncordoned node or a new toleration of the pod.
func (*NodeUnschedulable) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return []fwk.ClusterEventWithHint{
		{Event: fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add | fwk.UpdateNodeTaint}, QueueingHintFn: uncordoned},
		{Event: fwk.ClusterEvent{Resource: fwk.TargetPod, ActionType: fwk.UpdatePodToleration}, QueueingHintFn: tolerates},
	}, nil
}

func uncordoned(_ klog.Logger, _ *v1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	node, ok := newObj.(*v1.Node)
	if !ok {
		return fwk.Queue, fmt.Errorf("judging a node event: got %T", newObj)
	}
	old, had := oldObj.(*v1.Node)
	if !node.Spec.Unschedulable && (!had || old == nil || old.Spec.Unschedulable) {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}

func tolerates(logger klog.Logger, pod *v1.Pod, _, newObj any) (fwk.QueueingHint, error) {
	if p, ok := newObj.(*v1.Pod); ok && p.UID == pod.UID && toleratesUnschedulable(logger, p) {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}

// Filter refuses cordoned nodes unless the pod tolerates the taint of the same meaning.
func (*NodeUnschedulable) Filter(ctx context.Context, _ fwk.CycleState, pod *v1.Pod, node fwk.NodeInfo) *fwk.Status {
	if !node.Node().Spec.Unschedulable || toleratesUnschedulable(klog.FromContext(ctx), pod) {
		return nil
	}
	return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, ErrReason)
}

func toleratesUnschedulable(logger klog.Logger, pod *v1.Pod) bool {
	taint := v1.Taint{Key: v1.TaintNodeUnschedulable, Effect: v1.TaintEffectNoSchedule}
	return v1helper.TolerationsTolerateTaint(logger, pod.Spec.Tolerations, &taint, true)
}
