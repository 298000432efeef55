// Package interpodaffinity places pods near or away from other pods, by spec.affinity.podAffinity
// and podAntiAffinity, theirs and those of pods that run already.
// https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity
//
// The API of this package is not stable: see docs/api.md.
package interpodaffinity

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/cache"
	"github.com/coracle-k8s/coracle/scheduler/topology"
)

const (
	// Name is the plugin's name in Kubernetes.
	Name = "InterPodAffinity"
	// ErrReasonAffinity is the message for a node without the pods that this one needs.
	ErrReasonAffinity = "node(s) didn't match pod affinity rules"
	// ErrReasonAntiAffinity is the message for a node with pods that this one refuses.
	ErrReasonAntiAffinity = "node(s) didn't match pod anti-affinity rules"
	// ErrReasonExisting is the message for a node whose pods refuse this one.
	ErrReasonExisting = "node(s) didn't satisfy existing pods anti-affinity rules"

	preFilterKey fwk.StateKey = "PreFilter" + Name
	preScoreKey  fwk.StateKey = "PreScore" + Name

	// hardPodAffinityWeight is added to the score of a domain for a running pod's
	// required affinity to this one.
	hardPodAffinityWeight = 1

	// remembered bounds memory: each costs 16 to 32 bytes a node.
	remembered = 256
)

// Cluster lists the nodes beyond the candidates.
type Cluster interface {
	Nodes() []fwk.NodeInfo
	HavePodsWithAffinityList() ([]fwk.NodeInfo, error)
	HavePodsWithRequiredAntiAffinityList() ([]fwk.NodeInfo, error)
}

// Namespaces has the labels of namespaces.
type Namespaces interface {
	NamespaceLabels(name string) labels.Set
	Namespaces(visit func(name string, l labels.Set))
}

// InterPodAffinity filters by required and scores by preferred terms.
type InterPodAffinity struct {
	cluster    Cluster
	namespaces Namespaces
	keys       *topology.Keys
	matches    *topology.Memos[int32]
	opinions   *topology.Memos[[]opinion]
}

var _ fwk.PreFilterPlugin = &InterPodAffinity{}
var _ fwk.PreFilterExtensions = &InterPodAffinity{}
var _ fwk.FilterPlugin = &InterPodAffinity{}
var _ fwk.PreScorePlugin = &InterPodAffinity{}
var _ fwk.ScorePlugin = &InterPodAffinity{}
var _ fwk.ScoreExtensions = &InterPodAffinity{}
var _ fwk.EnqueueExtensions = &InterPodAffinity{}

// New returns the plugin.
func New(cluster Cluster, namespaces Namespaces) *InterPodAffinity {
	return &InterPodAffinity{
		cluster: cluster, namespaces: namespaces, keys: topology.NewKeys(),
		matches: topology.NewMemos[int32](remembered), opinions: topology.NewMemos[[]opinion](remembered),
	}
}

func (*InterPodAffinity) Name() string { return Name }

// opinion is how the pods of one node count for an incoming pod: n pods, or a
// weight, for the node's domain of key.
type opinion struct {
	key string
	n   int64
}

// EventsToRegister waits for company that comes or goes and for nodes whose
// domains change.
func (p *InterPodAffinity) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return []fwk.ClusterEventWithHint{
		{Event: fwk.ClusterEvent{Resource: fwk.Pod, ActionType: fwk.Add | fwk.Delete | fwk.UpdatePodLabel}, QueueingHintFn: p.companyChanged},
		{Event: fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add | fwk.UpdateNodeLabel | fwk.UpdateNodeTaint}, QueueingHintFn: domainChanged},
	}, nil
}

// companyChanged wakes the pod when a pod it has an opinion of, or that has one
// of it, came, went or changed.
func (p *InterPodAffinity) companyChanged(_ klog.Logger, pod *v1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	pi, err := cache.NewPodInfo(pod)
	if err != nil {
		return fwk.Queue, err
	}
	own := slices.Concat(pi.GetRequiredAffinityTerms(), pi.GetRequiredAntiAffinityTerms())
	for _, obj := range []any{oldObj, newObj} {
		other, ok := obj.(*v1.Pod)
		if !ok || other == nil {
			continue
		}
		if other.UID == pod.UID {
			return fwk.Queue, nil
		}
		for i := range own {
			if own[i].Matches(other, p.namespaces.NamespaceLabels(other.Namespace)) {
				return fwk.Queue, nil
			}
		}
		theirs, err := cache.NewPodInfo(other)
		if err != nil {
			return fwk.Queue, err
		}
		for _, t := range theirs.GetRequiredAntiAffinityTerms() {
			if t.Matches(pod, p.namespaces.NamespaceLabels(pod.Namespace)) {
				return fwk.Queue, nil
			}
		}
	}
	return fwk.QueueSkip, nil
}

func domainChanged(_ klog.Logger, pod *v1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	node, ok := newObj.(*v1.Node)
	if !ok {
		return fwk.Queue, fmt.Errorf("judging a node event: got %T", newObj)
	}
	old, _ := oldObj.(*v1.Node)
	if old == nil {
		return fwk.Queue, nil
	}
	pi, err := cache.NewPodInfo(pod)
	if err != nil {
		return fwk.Queue, err
	}
	own := slices.Concat(pi.GetRequiredAffinityTerms(), pi.GetRequiredAntiAffinityTerms())
	if len(own) == 0 {
		return fwk.Queue, nil // refused by terms of others, whose keys may have changed
	}
	for i := range own {
		was, had := old.Labels[own[i].TopologyKey]
		if is, has := node.Labels[own[i].TopologyKey]; had != has || was != is {
			return fwk.Queue, nil
		}
	}
	return fwk.QueueSkip, nil
}

// resolve replaces a namespace selector by the namespaces it selects now.
func (p *InterPodAffinity) resolve(t fwk.AffinityTerm) fwk.AffinityTerm {
	if t.NamespaceSelector.Empty() {
		return t // it is everything or not set; either needs no labels
	}
	names := sets.New(t.Namespaces.UnsortedList()...)
	p.namespaces.Namespaces(func(name string, l labels.Set) {
		if t.NamespaceSelector.Matches(l) {
			names.Insert(name)
		}
	})
	t.Namespaces, t.NamespaceSelector = names, labels.Nothing()
	return t
}

func (p *InterPodAffinity) resolveAll(terms []fwk.AffinityTerm) []fwk.AffinityTerm {
	out := make([]fwk.AffinityTerm, len(terms))
	for i := range terms {
		out[i] = p.resolve(terms[i])
	}
	return out
}

// matchesAll reports whether every resolved term matches the pod; false for none.
func matchesAll(terms []fwk.AffinityTerm, pod *v1.Pod) bool {
	for i := range terms {
		if !terms[i].Matches(pod, nil) {
			return false
		}
	}
	return len(terms) > 0
}

// count remembers for each node how many pods match all of the resolved terms.
func (p *InterPodAffinity) count(terms ...fwk.AffinityTerm) *topology.Memo[int32] {
	var key strings.Builder
	for i := range terms {
		fmt.Fprintf(&key, "%s\x00%s\x00%s\x01", strings.Join(sets.List(terms[i].Namespaces), ","), terms[i].NamespaceSelector, terms[i].Selector)
	}
	return p.matches.Get(key.String(), func(n fwk.NodeInfo) int32 {
		var count int32
		for _, pi := range n.GetPods() {
			if matchesAll(terms, pi.GetPod()) {
				count++
			}
		}
		return count
	})
}

// identity returns all that others' terms can see of the pod.
func (p *InterPodAffinity) identity(pod *v1.Pod) string {
	return pod.Namespace + "\x00" + labels.FormatLabels(pod.Labels) + "\x00" + labels.FormatLabels(p.namespaces.NamespaceLabels(pod.Namespace))
}
