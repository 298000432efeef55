package podtopologyspread

import (
	"context"
	"math"
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/topology"
)

// filterState holds the counts of hard constraints, by constraint.
type filterState struct {
	policy policy
	rules  []rule
}

type rule struct {
	constraint
	domains *topology.Domains
	// self is 1 if the constraint counts the pod itself.
	self   int64
	counts topology.Counts
	// known marks the domains that exist: those of a counted node.
	known []bool
	// least is the lowest count of all domains, 0 if there are too few.
	least int64
}

// Clone copies counts, which AddPod and RemovePod change.
func (s *filterState) Clone() fwk.StateData {
	c := &filterState{policy: s.policy, rules: slices.Clone(s.rules)}
	for i := range c.rules {
		c.rules[i].counts = slices.Clone(c.rules[i].counts)
	}
	return c
}

// PreFilter counts, and skips pods without hard constraints.
func (p *PodTopologySpread) PreFilter(_ context.Context, cs fwk.CycleState, pod *v1.Pod, nodes []fwk.NodeInfo) (*fwk.PreFilterResult, *fwk.Status) {
	constraints, err := explicit(pod, v1.DoNotSchedule)
	if err != nil {
		return nil, fwk.AsStatus(err)
	}
	if len(constraints) == 0 {
		return nil, fwk.NewStatus(fwk.Skip)
	}
	s := &filterState{policy: newPolicy(pod)}
	for _, c := range constraints {
		r := rule{constraint: c, domains: p.keys.Get(c.key, len(nodes))}
		if c.selector.Matches(labels.Set(pod.Labels)) {
			r.self = 1
		}
		s.rules = append(s.rules, r)
	}
	for i := range s.rules {
		s.rules[i].count(p.memo(pod.Namespace, &s.rules[i].constraint), nodes, s)
	}
	cs.Write(preFilterKey, s)
	return nil, nil
}

func (r *rule) count(memo *topology.Memo[int32], nodes []fwk.NodeInfo, s *filterState) {
	for _, n := range nodes {
		if !s.inAllDomains(n) || !s.policy.counts(&r.constraint, n.Node()) {
			continue
		}
		id := r.domains.Of(n)
		for int(id) >= len(r.known) {
			r.known = append(r.known, false)
		}
		r.known[id] = true
		r.counts.Add(id, int64(memo.Of(n)))
	}
	r.findLeast()
}

// inAllDomains reports whether the node has the label of every constraint;
// nodes that lack one count for none.
func (s *filterState) inAllDomains(n fwk.NodeInfo) bool {
	for i := range s.rules {
		if s.rules[i].domains.Of(n) == topology.None {
			return false
		}
	}
	return true
}

func (r *rule) findLeast() {
	r.least = math.MaxInt64
	domains := 0
	for id, known := range r.known {
		if known {
			domains++
			r.least = min(r.least, r.counts.Of(int32(id)))
		}
	}
	if domains < r.minDomains || domains == 0 {
		r.least = 0
	}
}

// Filter refuses nodes in whose domain the pod would skew too much.
func (p *PodTopologySpread) Filter(_ context.Context, cs fwk.CycleState, _ *v1.Pod, node fwk.NodeInfo) *fwk.Status {
	data, err := cs.Read(preFilterKey)
	if err != nil {
		return fwk.AsStatus(err)
	}
	for i := range data.(*filterState).rules {
		r := &data.(*filterState).rules[i]
		id := r.domains.Of(node)
		if id == topology.None {
			return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, ErrReasonLabel)
		}
		if r.counts.Of(id)+r.self-r.least > r.maxSkew {
			return fwk.NewStatus(fwk.Unschedulable, ErrReason)
		}
	}
	return nil
}

func (p *PodTopologySpread) PreFilterExtensions() fwk.PreFilterExtensions { return p }

// AddPod counts a pod more.
func (p *PodTopologySpread) AddPod(_ context.Context, cs fwk.CycleState, pod *v1.Pod, add fwk.PodInfo, node fwk.NodeInfo) *fwk.Status {
	return change(cs, pod, add.GetPod(), node, 1)
}

// RemovePod counts a pod less.
func (p *PodTopologySpread) RemovePod(_ context.Context, cs fwk.CycleState, pod *v1.Pod, remove fwk.PodInfo, node fwk.NodeInfo) *fwk.Status {
	return change(cs, pod, remove.GetPod(), node, -1)
}

func change(cs fwk.CycleState, pod, other *v1.Pod, node fwk.NodeInfo, by int64) *fwk.Status {
	data, err := cs.Read(preFilterKey)
	if err != nil {
		return fwk.AsStatus(err)
	}
	s := data.(*filterState)
	if !s.inAllDomains(node) {
		return nil
	}
	for i := range s.rules {
		r := &s.rules[i]
		if countable(other, pod.Namespace, r.selector) && s.policy.counts(&r.constraint, node.Node()) {
			r.counts.Add(r.domains.Of(node), by)
			r.findLeast()
		}
	}
	return nil
}
