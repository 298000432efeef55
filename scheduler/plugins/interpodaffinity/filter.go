package interpodaffinity

import (
	"context"
	"slices"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/cache"
	"github.com/coracle-k8s/coracle/scheduler/topology"
)

// filterState counts matching pods by domain.
type filterState struct {
	pod *cache.PodInfo
	// affinity counts pods that match all terms, in the domain of each term.
	affinity []tally
	// affinityTerms and antiTerms are the pod's own, resolved.
	affinityTerms, antiTerms []fwk.AffinityTerm
	anti                     []tally
	// existing counts pods whose anti-affinity refuses this one, by key.
	existing []tally
	plugin   *InterPodAffinity
}

type tally struct {
	domains *topology.Domains
	counts  topology.Counts
}

// Clone copies counts, which AddPod and RemovePod change.
func (s *filterState) Clone() fwk.StateData {
	c := *s
	for _, list := range []*[]tally{&c.affinity, &c.anti, &c.existing} {
		*list = slices.Clone(*list)
		for i := range *list {
			(*list)[i].counts = slices.Clone((*list)[i].counts)
		}
	}
	return &c
}

// PreFilter counts, and skips pods that neither have required terms nor are
// refused by any.
func (p *InterPodAffinity) PreFilter(_ context.Context, cs fwk.CycleState, pod *v1.Pod, nodes []fwk.NodeInfo) (*fwk.PreFilterResult, *fwk.Status) {
	refusing, err := p.cluster.HavePodsWithRequiredAntiAffinityList()
	if err != nil {
		return nil, fwk.AsStatus(err)
	}
	own := pod.Spec.Affinity != nil && (pod.Spec.Affinity.PodAffinity != nil || pod.Spec.Affinity.PodAntiAffinity != nil)
	if !own && len(refusing) == 0 {
		return nil, fwk.NewStatus(fwk.Skip)
	}
	pi, err := cache.NewPodInfo(pod)
	if err != nil {
		return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, err.Error())
	}
	s := &filterState{
		pod: pi, plugin: p,
		affinityTerms: p.resolveAll(pi.GetRequiredAffinityTerms()),
		antiTerms:     p.resolveAll(pi.GetRequiredAntiAffinityTerms()),
	}
	if len(refusing) > 0 {
		p.countExisting(s, refusing, len(nodes))
	}
	if len(s.existing)+len(s.affinityTerms)+len(s.antiTerms) == 0 {
		return nil, fwk.NewStatus(fwk.Skip)
	}
	if len(s.affinityTerms) > 0 {
		memo := p.count(s.affinityTerms...)
		for _, t := range s.affinityTerms {
			s.affinity = append(s.affinity, p.tally(t.TopologyKey, memo, nodes))
		}
	}
	for _, t := range s.antiTerms {
		s.anti = append(s.anti, p.tally(t.TopologyKey, p.count(t), nodes))
	}
	cs.Write(preFilterKey, s)
	return nil, nil
}

func (p *InterPodAffinity) tally(key string, memo *topology.Memo[int32], nodes []fwk.NodeInfo) tally {
	t := tally{domains: p.keys.Get(key, len(nodes))}
	for _, n := range nodes {
		if c := memo.Of(n); c > 0 {
			t.counts.Add(t.domains.Of(n), int64(c))
		}
	}
	return t
}

func (p *InterPodAffinity) countExisting(s *filterState, refusing []fwk.NodeInfo, nodes int) {
	pod := s.pod.GetPod()
	nsLabels := p.namespaces.NamespaceLabels(pod.Namespace)
	memo := p.opinions.Get("refuse\x00"+p.identity(pod), func(n fwk.NodeInfo) []opinion {
		var out []opinion
		for _, other := range n.GetPodsWithRequiredAntiAffinity() {
			for _, t := range other.GetRequiredAntiAffinityTerms() {
				if t.Matches(pod, nsLabels) {
					out = addOpinion(out, t.TopologyKey, 1)
				}
			}
		}
		return out
	})
	for _, n := range refusing {
		for _, o := range memo.Of(n) {
			t := s.existingOf(o.key, nodes)
			t.counts.Add(t.domains.Of(n), o.n)
		}
	}
}

func addOpinion(list []opinion, key string, n int64) []opinion {
	for i := range list {
		if list[i].key == key {
			list[i].n += n
			return list
		}
	}
	return append(list, opinion{key, n})
}

func (s *filterState) existingOf(key string, nodes int) *tally {
	for i := range s.existing {
		if s.existing[i].domains.Key() == key {
			return &s.existing[i]
		}
	}
	s.existing = append(s.existing, tally{domains: s.plugin.keys.Get(key, nodes)})
	return &s.existing[len(s.existing)-1]
}

// Filter refuses nodes without required company, and with refused or refusing
// company, in their domains.
func (p *InterPodAffinity) Filter(_ context.Context, cs fwk.CycleState, pod *v1.Pod, node fwk.NodeInfo) *fwk.Status {
	data, err := cs.Read(preFilterKey)
	if err != nil {
		return fwk.AsStatus(err)
	}
	s := data.(*filterState)
	switch {
	case !s.hasCompany(pod, node):
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, ErrReasonAffinity)
	case anyCounted(s.anti, node):
		return fwk.NewStatus(fwk.Unschedulable, ErrReasonAntiAffinity)
	case anyCounted(s.existing, node):
		return fwk.NewStatus(fwk.Unschedulable, ErrReasonExisting)
	}
	return nil
}

// hasCompany reports whether every affinity term has a pod in the node's domain.
// The first of a group of pods that want each other's company needs none.
func (s *filterState) hasCompany(pod *v1.Pod, node fwk.NodeInfo) bool {
	all := true
	for i := range s.affinity {
		id := s.affinity[i].domains.Of(node)
		if id == topology.None {
			return false
		}
		all = all && s.affinity[i].counts.Of(id) > 0
	}
	if all {
		return true
	}
	for i := range s.affinity {
		for _, n := range s.affinity[i].counts {
			if n > 0 {
				return false
			}
		}
	}
	return matchesAll(s.affinityTerms, pod)
}

func anyCounted(list []tally, node fwk.NodeInfo) bool {
	for i := range list {
		if list[i].counts.Of(list[i].domains.Of(node)) > 0 {
			return true
		}
	}
	return false
}

func (p *InterPodAffinity) PreFilterExtensions() fwk.PreFilterExtensions { return p }

// AddPod counts a pod more.
func (p *InterPodAffinity) AddPod(_ context.Context, cs fwk.CycleState, _ *v1.Pod, add fwk.PodInfo, node fwk.NodeInfo) *fwk.Status {
	return p.change(cs, add, node, 1)
}

// RemovePod counts a pod less.
func (p *InterPodAffinity) RemovePod(_ context.Context, cs fwk.CycleState, _ *v1.Pod, remove fwk.PodInfo, node fwk.NodeInfo) *fwk.Status {
	return p.change(cs, remove, node, -1)
}

func (p *InterPodAffinity) change(cs fwk.CycleState, other fwk.PodInfo, node fwk.NodeInfo, by int64) *fwk.Status {
	data, err := cs.Read(preFilterKey)
	if err != nil {
		return fwk.AsStatus(err)
	}
	s := data.(*filterState)
	nsLabels := p.namespaces.NamespaceLabels(s.pod.GetPod().Namespace)
	for _, t := range other.GetRequiredAntiAffinityTerms() {
		if t.Matches(s.pod.GetPod(), nsLabels) {
			e := s.existingOf(t.TopologyKey, len(p.cluster.Nodes()))
			e.counts.Add(e.domains.Of(node), by)
		}
	}
	if matchesAll(s.affinityTerms, other.GetPod()) {
		for i := range s.affinity {
			s.affinity[i].counts.Add(s.affinity[i].domains.Of(node), by)
		}
	}
	for i := range s.antiTerms {
		if s.antiTerms[i].Matches(other.GetPod(), nil) {
			s.anti[i].counts.Add(s.anti[i].domains.Of(node), by)
		}
	}
	return nil
}
