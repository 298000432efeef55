// Package nodedeclaredfeatures filters nodes by the features that a pod needs of
// its node's agent, which nodes list in status.declaredFeatures.
// https://kubernetes.io/docs/concepts/scheduling-eviction/node-declared-features/
//
// The API of this package is not stable: see docs/api.md.
package nodedeclaredfeatures

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"
	features "k8s.io/component-helpers/nodedeclaredfeatures"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/apis"
)

const (
	// Name is the plugin's name in Kubernetes.
	Name = "NodeDeclaredFeatures"
	// ErrReason is the message for a refused node.
	ErrReason = "node(s) didn't match Pod's required features"

	stateKey fwk.StateKey = "PreFilter" + Name
)

// NodeDeclaredFeatures is the PreFilter and Filter plugin.
type NodeDeclaredFeatures struct{ version *version.Version }

var (
	_ fwk.PreFilterPlugin   = &NodeDeclaredFeatures{}
	_ fwk.FilterPlugin      = &NodeDeclaredFeatures{}
	_ fwk.EnqueueExtensions = &NodeDeclaredFeatures{}
)

// New returns the plugin.
func New() *NodeDeclaredFeatures {
	return &NodeDeclaredFeatures{version.MustParseSemantic(apis.KubernetesVersion)}
}

// Name implements fwk.Plugin.
func (*NodeDeclaredFeatures) Name() string { return Name }

// EventsToRegister waits for a node that has more, or the pod's needing less.
func (p *NodeDeclaredFeatures) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return []fwk.ClusterEventWithHint{
		{Event: fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add | fwk.UpdateNodeDeclaredFeature}, QueueingHintFn: p.nodeFits},
	}, nil
}

func (p *NodeDeclaredFeatures) nodeFits(_ klog.Logger, pod *v1.Pod, _, newObj any) (fwk.QueueingHint, error) {
	node, ok := newObj.(*v1.Node)
	if !ok {
		return fwk.Queue, fmt.Errorf("expected a node, got %T", newObj)
	}
	needs, err := p.needs(pod)
	if err != nil {
		return fwk.Queue, err
	}
	fits, err := needs.IsSubset(features.DefaultFramework.TryMap(node.Status.DeclaredFeatures))
	if err != nil || fits {
		return fwk.Queue, err
	}
	return fwk.QueueSkip, nil
}

// needed holds what a pod needs.
type needed struct{ features.FeatureSet }

// Clone implements fwk.StateData. The set does not change.
func (n needed) Clone() fwk.StateData { return n }

func (p *NodeDeclaredFeatures) needs(pod *v1.Pod) (features.FeatureSet, error) {
	return features.DefaultFramework.InferForPodScheduling(&features.PodInfo{Spec: &pod.Spec}, p.version)
}

// PreFilter skips the plugin for pods that need nothing special.
func (p *NodeDeclaredFeatures) PreFilter(_ context.Context, cs fwk.CycleState, pod *v1.Pod, _ []fwk.NodeInfo) (*fwk.PreFilterResult, *fwk.Status) {
	set, err := p.needs(pod)
	if err != nil {
		return nil, fwk.AsStatus(err)
	}
	if set.IsEmpty() {
		return nil, fwk.NewStatus(fwk.Skip)
	}
	cs.Write(stateKey, needed{set})
	return nil, nil
}

// PreFilterExtensions implements fwk.PreFilterPlugin: other pods do not matter.
func (*NodeDeclaredFeatures) PreFilterExtensions() fwk.PreFilterExtensions { return nil }

// Filter refuses nodes that lack what the pod needs.
func (*NodeDeclaredFeatures) Filter(_ context.Context, cs fwk.CycleState, _ *v1.Pod, node fwk.NodeInfo) *fwk.Status {
	data, err := cs.Read(stateKey)
	if err != nil {
		return fwk.AsStatus(fmt.Errorf("reading what the pod needs: %w", err))
	}
	fits, err := data.(needed).IsSubset(node.GetNodeDeclaredFeatures())
	switch {
	case err != nil:
		return fwk.AsStatus(err)
	case !fits:
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, ErrReason)
	}
	return nil
}
