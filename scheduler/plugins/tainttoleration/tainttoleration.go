// Package tainttoleration keeps pods off nodes with taints they do not tolerate
// and prefers nodes with fewer PreferNoSchedule taints.
//
// The API of this package is not stable: see docs/api.md.
package tainttoleration

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	v1helper "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/framework"
)

const (
	// Name is the plugin's name in Kubernetes.
	Name = "TaintToleration"
	// ErrReason is the message for a refused node.
	ErrReason = "node(s) had untolerated taint(s)"
)

// TaintToleration filters and scores.
type TaintToleration struct{}

var _ fwk.FilterPlugin = &TaintToleration{}
var _ fwk.PreScorePlugin = &TaintToleration{}
var _ fwk.ScorePlugin = &TaintToleration{}
var _ fwk.ScoreExtensions = &TaintToleration{}
var _ fwk.EnqueueExtensions = &TaintToleration{}

// New returns the plugin.
func New() *TaintToleration { return &TaintToleration{} }

func (*TaintToleration) Name() string { return Name }

// EventsToRegister waits for a node whose taints became tolerable, or a new
// toleration of the pod.
func (*TaintToleration) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return []fwk.ClusterEventWithHint{
		{Event: fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add | fwk.UpdateNodeTaint}, QueueingHintFn: nodeTolerable},
		{Event: fwk.ClusterEvent{Resource: fwk.TargetPod, ActionType: fwk.UpdatePodToleration}, QueueingHintFn: ownToleration},
	}, nil
}

func nodeTolerable(logger klog.Logger, pod *v1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	node, ok := newObj.(*v1.Node)
	if !ok {
		return fwk.Queue, fmt.Errorf("judging a node event: got %T", newObj)
	}
	was := true
	if old, ok := oldObj.(*v1.Node); ok && old != nil {
		was = untolerated(logger, old, pod)
	}
	if was && !untolerated(logger, node, pod) {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}

func ownToleration(_ klog.Logger, pod *v1.Pod, _, newObj any) (fwk.QueueingHint, error) {
	if p, ok := newObj.(*v1.Pod); ok && p.UID == pod.UID {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}

// Filter refuses nodes with a NoSchedule or NoExecute taint that is not tolerated.
func (*TaintToleration) Filter(ctx context.Context, _ fwk.CycleState, pod *v1.Pod, node fwk.NodeInfo) *fwk.Status {
	if len(node.Node().Spec.Taints) == 0 || !untolerated(klog.FromContext(ctx), node.Node(), pod) {
		return nil
	}
	return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, ErrReason)
}

func untolerated(logger klog.Logger, node *v1.Node, pod *v1.Pod) bool {
	for i := range node.Spec.Taints {
		t := &node.Spec.Taints[i]
		if (t.Effect == v1.TaintEffectNoSchedule || t.Effect == v1.TaintEffectNoExecute) &&
			!v1helper.TolerationsTolerateTaint(logger, pod.Spec.Tolerations, t, true) {
			return true
		}
	}
	return false
}

// PreScore skips when no candidate has a PreferNoSchedule taint: all would
// score the same.
func (*TaintToleration) PreScore(_ context.Context, _ fwk.CycleState, _ *v1.Pod, nodes []fwk.NodeInfo) *fwk.Status {
	for _, n := range nodes {
		for i := range n.Node().Spec.Taints {
			if n.Node().Spec.Taints[i].Effect == v1.TaintEffectPreferNoSchedule {
				return nil
			}
		}
	}
	return fwk.NewStatus(fwk.Skip)
}

// Score counts PreferNoSchedule taints that the pod does not tolerate.
func (*TaintToleration) Score(ctx context.Context, _ fwk.CycleState, pod *v1.Pod, node fwk.NodeInfo) (int64, *fwk.Status) {
	var count int64
	for i := range node.Node().Spec.Taints {
		t := &node.Node().Spec.Taints[i]
		if t.Effect == v1.TaintEffectPreferNoSchedule && !v1helper.TolerationsTolerateTaint(klog.FromContext(ctx), pod.Spec.Tolerations, t, true) {
			count++
		}
	}
	return count, nil
}

func (t *TaintToleration) ScoreExtensions() fwk.ScoreExtensions { return t }

// NormalizeScore makes the fewest taints the highest score.
func (*TaintToleration) NormalizeScore(_ context.Context, _ fwk.CycleState, _ *v1.Pod, scores fwk.NodeScoreList) *fwk.Status {
	framework.NormalizeScores(fwk.MaxScore, true, scores)
	return nil
}
