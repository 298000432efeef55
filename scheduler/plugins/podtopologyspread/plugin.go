// Package podtopologyspread spreads pods evenly over zones, nodes or other domains: by
// their topologySpreadConstraints or, without any, pods of a service or workload
// loosely over nodes and zones.
// https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
//
// The API of this package is not stable: see docs/api.md.
package podtopologyspread

import (
	"context"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/topology"
)

const (
	// Name is the plugin's name in Kubernetes.
	Name = "PodTopologySpread"
	// ErrReason is the message for a node where the pod would skew too much.
	ErrReason = "node(s) didn't match pod topology spread constraints"
	// ErrReasonLabel is the message for a node that is in no domain.
	ErrReasonLabel = ErrReason + " (missing required label)"

	preFilterKey fwk.StateKey = "PreFilter" + Name
	preScoreKey  fwk.StateKey = "PreScore" + Name

	// rememberedSelectors bounds memory: each costs 16 bytes a node.
	rememberedSelectors = 256
)

// Cluster lists the nodes beyond the candidates.
type Cluster interface {
	// Nodes lists all nodes of the current snapshot.
	Nodes() []fwk.NodeInfo
}

// Selectors finds the pods that belong together with a pod.
type Selectors interface {
	// DefaultSelector is empty if the pod is of no service and no workload.
	DefaultSelector(pod *v1.Pod) labels.Selector
}

// PodTopologySpread filters by hard and scores by soft constraints.
type PodTopologySpread struct {
	cluster   Cluster
	selectors Selectors
	keys      *topology.Keys
	counts    *topology.Memos[int32]
}

var _ fwk.PreFilterPlugin = &PodTopologySpread{}
var _ fwk.PreFilterExtensions = &PodTopologySpread{}
var _ fwk.FilterPlugin = &PodTopologySpread{}
var _ fwk.PreScorePlugin = &PodTopologySpread{}
var _ fwk.ScorePlugin = &PodTopologySpread{}
var _ fwk.ScoreExtensions = &PodTopologySpread{}
var _ fwk.EnqueueExtensions = &PodTopologySpread{}

// New returns the plugin.
func New(cluster Cluster, selectors Selectors) *PodTopologySpread {
	return &PodTopologySpread{cluster: cluster, selectors: selectors, keys: topology.NewKeys(), counts: topology.NewMemos[int32](rememberedSelectors)}
}

func (*PodTopologySpread) Name() string { return Name }

// EventsToRegister waits for pods that change the counts and for nodes that
// change the domains.
func (*PodTopologySpread) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return []fwk.ClusterEventWithHint{
		{Event: fwk.ClusterEvent{Resource: fwk.Pod, ActionType: fwk.Add | fwk.Delete | fwk.UpdatePodLabel}, QueueingHintFn: podCounts},
		{Event: fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add | fwk.Delete | fwk.UpdateNodeLabel | fwk.UpdateNodeTaint}, QueueingHintFn: nodeInDomain},
	}, nil
}

// podCounts wakes the pod for pods that one of its constraints counts, or
// counted before they changed.
func podCounts(_ klog.Logger, pod *v1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	constraints, err := explicit(pod, v1.DoNotSchedule)
	if err != nil {
		return fwk.Queue, err
	}
	if p, ok := newObj.(*v1.Pod); ok && p.UID == pod.UID {
		return fwk.Queue, nil // its own labels changed, which constraints may select
	}
	counted := func(obj any) bool {
		p, ok := obj.(*v1.Pod)
		if !ok || p == nil || p.Namespace != pod.Namespace {
			return false
		}
		for i := range constraints {
			if constraints[i].selector.Matches(labels.Set(p.Labels)) {
				return true
			}
		}
		return false
	}
	if counted(oldObj) || counted(newObj) {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}

// nodeInDomain wakes the pod for nodes that are, or were, in domains of all its
// constraints.
func nodeInDomain(_ klog.Logger, pod *v1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	constraints, err := explicit(pod, v1.DoNotSchedule)
	if err != nil {
		return fwk.Queue, err
	}
	for _, obj := range []any{oldObj, newObj} {
		if node, ok := obj.(*v1.Node); ok && node != nil && hasAllKeys(node, constraints) {
			return fwk.Queue, nil
		}
	}
	return fwk.QueueSkip, nil
}

// memo counts pods that c selects on each node.
func (p *PodTopologySpread) memo(namespace string, c *constraint) *topology.Memo[int32] {
	selector := c.selector
	return p.counts.Get(namespace+"\x00"+selector.String(), func(n fwk.NodeInfo) int32 {
		return countPods(n, namespace, selector)
	})
}

func countPods(n fwk.NodeInfo, namespace string, selector labels.Selector) int32 {
	var count int32
	if selector.Empty() {
		return 0
	}
	for _, p := range n.GetPods() {
		if countable(p.GetPod(), namespace, selector) {
			count++
		}
	}
	return count
}

// countable leaves out pods that are going: they make room soon.
func countable(pod *v1.Pod, namespace string, selector labels.Selector) bool {
	return !selector.Empty() && pod.Namespace == namespace && pod.DeletionTimestamp == nil && selector.Matches(labels.Set(pod.Labels))
}
