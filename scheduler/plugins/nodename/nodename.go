// Package nodename filters nodes by a pod's spec.nodeName.
//
// The API of this package is not stable: see docs/api.md.
package nodename

import (
	"context"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
)

const (
	// Name is the plugin's name in Kubernetes.
	Name = "NodeName"
	// ErrReason is the message for a refused node.
	ErrReason = "node(s) didn't match the requested node name"
)

// NodeName is the Filter plugin.
type NodeName struct{}

var _ fwk.FilterPlugin = &NodeName{}
var _ fwk.EnqueueExtensions = &NodeName{}

// New returns the plugin.
func New() *NodeName { return &NodeName{} }

func (*NodeName) Name() string { return Name }

// EventsToRegister waits for the node to appear.
func (*NodeName) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return []fwk.ClusterEventWithHint{{Event: fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add}}}, nil
}

// Filter refuses every node but the one the pod names.
func (*NodeName) Filter(_ context.Context, _ fwk.CycleState, pod *v1.Pod, node fwk.NodeInfo) *fwk.Status {
	if pod.Spec.NodeName == "" || pod.Spec.NodeName == node.Node().Name {
		return nil
	}
	return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, ErrReason)
}
