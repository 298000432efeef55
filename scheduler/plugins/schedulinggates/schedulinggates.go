// Package schedulinggates keeps pods with spec.schedulingGates out of the queue.
// https://kubernetes.io/docs/concepts/scheduling-eviction/pod-scheduling-readiness/
//
// The API of this package is not stable: see docs/api.md.
package schedulinggates

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
)

// Name is the plugin's name in Kubernetes.
const Name = "SchedulingGates"

// SchedulingGates is the PreEnqueue plugin.
type SchedulingGates struct{}

var _ fwk.PreEnqueuePlugin = &SchedulingGates{}
var _ fwk.EnqueueExtensions = &SchedulingGates{}

// New returns the plugin.
func New() *SchedulingGates { return &SchedulingGates{} }

func (*SchedulingGates) Name() string { return Name }

// PreEnqueue refuses pods that have gates left.
func (*SchedulingGates) PreEnqueue(_ context.Context, pod *v1.Pod) *fwk.Status {
	if len(pod.Spec.SchedulingGates) == 0 {
		return nil
	}
	gates := make([]string, 0, len(pod.Spec.SchedulingGates))
	for _, g := range pod.Spec.SchedulingGates {
		gates = append(gates, g.Name)
	}
	return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, fmt.Sprintf("waiting for scheduling gates: %v", gates))
}

// EventsToRegister waits for the pod's own last gate to go.
func (*SchedulingGates) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return []fwk.ClusterEventWithHint{{
		Event:          fwk.ClusterEvent{Resource: fwk.TargetPod, ActionType: fwk.UpdatePodSchedulingGatesEliminated},
		QueueingHintFn: ownGatesGone,
	}}, nil
}

func ownGatesGone(_ klog.Logger, pod *v1.Pod, _, newObj any) (fwk.QueueingHint, error) {
	if p, ok := newObj.(*v1.Pod); ok && p.UID == pod.UID {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}
