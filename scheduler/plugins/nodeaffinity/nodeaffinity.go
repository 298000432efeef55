// Package nodeaffinity honours spec.nodeSelector and spec.affinity.nodeAffinity.
//
// The API of this package is not stable: see docs/api.md.
package nodeaffinity

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/framework"
)

const (
	// Name is the plugin's name in Kubernetes.
	Name = "NodeAffinity"
	// ErrReasonPod is the message for a refused node.
	ErrReasonPod = "node(s) didn't match Pod's node affinity/selector"
	// ErrReasonConflict is the message when terms by node name have no node in common.
	ErrReasonConflict = "pod affinity terms conflict"

	preFilterKey fwk.StateKey = "PreFilter" + Name
	preScoreKey  fwk.StateKey = "PreScore" + Name
)

// NodeAffinity filters by required terms and scores by preferred ones.
type NodeAffinity struct{}

var _ fwk.PreFilterPlugin = &NodeAffinity{}
var _ fwk.FilterPlugin = &NodeAffinity{}
var _ fwk.PreScorePlugin = &NodeAffinity{}
var _ fwk.ScorePlugin = &NodeAffinity{}
var _ fwk.ScoreExtensions = &NodeAffinity{}
var _ fwk.EnqueueExtensions = &NodeAffinity{}

type required struct {
	nodeaffinity.RequiredNodeAffinity
}

// Clone shares the terms: nothing changes them.
func (r *required) Clone() fwk.StateData { return r }

type preferred struct {
	*nodeaffinity.PreferredSchedulingTerms
}

// Clone shares the terms: nothing changes them.
func (p *preferred) Clone() fwk.StateData { return p }

// New returns the plugin.
func New() *NodeAffinity { return &NodeAffinity{} }

func (*NodeAffinity) Name() string { return Name }

// EventsToRegister waits for nodes that came to match.
func (*NodeAffinity) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return []fwk.ClusterEventWithHint{
		{Event: fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add | fwk.UpdateNodeLabel}, QueueingHintFn: cameToMatch},
	}, nil
}

func cameToMatch(_ klog.Logger, pod *v1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	node, ok := newObj.(*v1.Node)
	if !ok {
		return fwk.Queue, fmt.Errorf("judging a node event: got %T", newObj)
	}
	terms := nodeaffinity.GetRequiredNodeAffinity(pod)
	is, err := terms.Match(node)
	if err != nil {
		return fwk.Queue, fmt.Errorf("matching node %s: %w", node.Name, err)
	}
	if !is {
		return fwk.QueueSkip, nil
	}
	if old, ok := oldObj.(*v1.Node); ok && old != nil {
		if was, err := terms.Match(old); err == nil && was {
			return fwk.QueueSkip, nil
		}
	}
	return fwk.Queue, nil
}

// PreFilter skips pods without terms, and finds the nodes that terms name.
func (*NodeAffinity) PreFilter(_ context.Context, cs fwk.CycleState, pod *v1.Pod, _ []fwk.NodeInfo) (*fwk.PreFilterResult, *fwk.Status) {
	node := nodeAffinity(pod)
	hasTerms := node != nil && node.RequiredDuringSchedulingIgnoredDuringExecution != nil
	if !hasTerms && len(pod.Spec.NodeSelector) == 0 {
		return nil, fwk.NewStatus(fwk.Skip)
	}
	cs.Write(preFilterKey, &required{nodeaffinity.GetRequiredNodeAffinity(pod)})
	if !hasTerms {
		return nil, nil
	}
	names, named := namedNodes(node.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms)
	if !named {
		return nil, nil
	}
	if names.Len() == 0 {
		return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, ErrReasonConflict)
	}
	return &fwk.PreFilterResult{NodeNames: names}, nil
}

// namedNodes returns the nodes that terms can match at all, if every term
// restricts metadata.name (DaemonSet pods do): terms are ORed, requirements of
// one term ANDed.
func namedNodes(terms []v1.NodeSelectorTerm) (sets.Set[string], bool) {
	union := sets.New[string]()
	for i := range terms {
		var names sets.Set[string]
		for _, r := range terms[i].MatchFields {
			if r.Key != "metadata.name" || r.Operator != v1.NodeSelectorOpIn {
				continue
			}
			if names == nil {
				names = sets.New(r.Values...)
			} else {
				names = names.Intersection(sets.New(r.Values...))
			}
		}
		if names == nil {
			return nil, false
		}
		union = union.Union(names)
	}
	return union, len(terms) > 0
}

func (*NodeAffinity) PreFilterExtensions() fwk.PreFilterExtensions { return nil }

// Filter refuses nodes that required terms do not match.
func (*NodeAffinity) Filter(_ context.Context, cs fwk.CycleState, pod *v1.Pod, node fwk.NodeInfo) *fwk.Status {
	var terms nodeaffinity.RequiredNodeAffinity
	if data, err := cs.Read(preFilterKey); err == nil {
		terms = data.(*required).RequiredNodeAffinity
	} else {
		terms = nodeaffinity.GetRequiredNodeAffinity(pod)
	}
	if ok, err := terms.Match(node.Node()); err != nil || !ok {
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, ErrReasonPod)
	}
	return nil
}

// PreScore skips pods without preferences.
func (*NodeAffinity) PreScore(_ context.Context, cs fwk.CycleState, pod *v1.Pod, _ []fwk.NodeInfo) *fwk.Status {
	node := nodeAffinity(pod)
	if node == nil || len(node.PreferredDuringSchedulingIgnoredDuringExecution) == 0 {
		return fwk.NewStatus(fwk.Skip)
	}
	terms, err := nodeaffinity.NewPreferredSchedulingTerms(node.PreferredDuringSchedulingIgnoredDuringExecution)
	if err != nil {
		return fwk.AsStatus(fmt.Errorf("parsing preferred node affinity: %w", err))
	}
	cs.Write(preScoreKey, &preferred{terms})
	return nil
}

// Score sums weights of preferred terms that match.
func (*NodeAffinity) Score(_ context.Context, cs fwk.CycleState, _ *v1.Pod, node fwk.NodeInfo) (int64, *fwk.Status) {
	data, err := cs.Read(preScoreKey)
	if err != nil {
		return 0, fwk.AsStatus(err)
	}
	return data.(*preferred).Score(node.Node()), nil
}

func (n *NodeAffinity) ScoreExtensions() fwk.ScoreExtensions { return n }

// NormalizeScore scales to the highest sum.
func (*NodeAffinity) NormalizeScore(_ context.Context, _ fwk.CycleState, _ *v1.Pod, scores fwk.NodeScoreList) *fwk.Status {
	framework.NormalizeScores(fwk.MaxScore, false, scores)
	return nil
}

func nodeAffinity(pod *v1.Pod) *v1.NodeAffinity {
	if pod.Spec.Affinity == nil {
		return nil
	}
	return pod.Spec.Affinity.NodeAffinity
}
