// Package nodeports keeps two pods from asking for one host port of a node.
//
// The API of this package is not stable: see docs/api.md.
package nodeports

import (
	"context"

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

const (
	// Name is the plugin's name in Kubernetes.
	Name = "NodePorts"
	// ErrReason is the message for a refused node.
	ErrReason = "node(s) didn't have free ports for the requested pod ports"

	stateKey fwk.StateKey = "PreFilter" + Name
)

// NodePorts is the Filter plugin.
type NodePorts struct{}

var _ fwk.PreFilterPlugin = &NodePorts{}
var _ fwk.FilterPlugin = &NodePorts{}
var _ fwk.EnqueueExtensions = &NodePorts{}

type state []v1.ContainerPort

// Clone shares the ports: nothing changes them.
func (s state) Clone() fwk.StateData { return s }

// New returns the plugin.
func New() *NodePorts { return &NodePorts{} }

func (*NodePorts) Name() string { return Name }

// EventsToRegister waits for nodes and for the end of pods that hold a wanted port.
func (*NodePorts) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return []fwk.ClusterEventWithHint{
		{Event: fwk.ClusterEvent{Resource: fwk.AssignedPod, ActionType: fwk.Delete}, QueueingHintFn: frees},
		{Event: fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add}},
	}, nil
}

func frees(_ klog.Logger, pod *v1.Pod, oldObj, _ any) (fwk.QueueingHint, error) {
	gone, ok := oldObj.(*v1.Pod)
	if !ok {
		return fwk.Queue, nil
	}
	freed := fwk.HostPortInfo{}
	for _, p := range podapi.HostPorts(&gone.Spec) {
		freed.Add(p.HostIP, string(p.Protocol), p.HostPort)
	}
	if conflicts(podapi.HostPorts(&pod.Spec), freed) {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}

// PreFilter skips pods without host ports.
func (*NodePorts) PreFilter(_ context.Context, cs fwk.CycleState, pod *v1.Pod, _ []fwk.NodeInfo) (*fwk.PreFilterResult, *fwk.Status) {
	ports := podapi.HostPorts(&pod.Spec)
	if len(ports) == 0 {
		return nil, fwk.NewStatus(fwk.Skip)
	}
	cs.Write(stateKey, state(ports))
	return nil, nil
}

func (*NodePorts) PreFilterExtensions() fwk.PreFilterExtensions { return nil }

// Filter refuses nodes where a wanted port is taken.
func (*NodePorts) Filter(_ context.Context, cs fwk.CycleState, _ *v1.Pod, node fwk.NodeInfo) *fwk.Status {
	data, err := cs.Read(stateKey)
	if err != nil {
		return fwk.AsStatus(err)
	}
	if conflicts(data.(state), node.GetUsedPorts()) {
		return fwk.NewStatus(fwk.Unschedulable, ErrReason)
	}
	return nil
}

func conflicts(want []v1.ContainerPort, used fwk.HostPortInfo) bool {
	for i := range want {
		if used.CheckConflict(want[i].HostIP, string(want[i].Protocol), want[i].HostPort) {
			return true
		}
	}
	return false
}
