package interpodaffinity

import (
	"context"
	"math"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/cache"
	"github.com/coracle-k8s/coracle/scheduler/topology"
)

// scoreState sums weights by domain, a tally for each topology key.
type scoreState struct {
	tallies []tally
	plugin  *InterPodAffinity
	nodes   int
}

// Clone shares the state: nothing changes it after PreScore.
func (s *scoreState) Clone() fwk.StateData { return s }

func (s *scoreState) of(key string) *tally {
	for i := range s.tallies {
		if s.tallies[i].domains.Key() == key {
			return &s.tallies[i]
		}
	}
	s.tallies = append(s.tallies, tally{domains: s.plugin.keys.Get(key, s.nodes)})
	return &s.tallies[len(s.tallies)-1]
}

// PreScore sums weights, and skips where no pod has a preference.
func (p *InterPodAffinity) PreScore(_ context.Context, cs fwk.CycleState, pod *v1.Pod, _ []fwk.NodeInfo) *fwk.Status {
	withAffinity, err := p.cluster.HavePodsWithAffinityList()
	if err != nil {
		return fwk.AsStatus(err)
	}
	a := pod.Spec.Affinity
	prefers := a != nil && (a.PodAffinity != nil && len(a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution) > 0 ||
		a.PodAntiAffinity != nil && len(a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution) > 0)
	if !prefers && len(withAffinity) == 0 {
		return fwk.NewStatus(fwk.Skip)
	}
	all := p.cluster.Nodes()
	s := &scoreState{plugin: p, nodes: len(all)}
	if prefers {
		pi, err := cache.NewPodInfo(pod)
		if err != nil {
			return fwk.AsStatus(err)
		}
		p.scoreOwn(s, pi.GetPreferredAffinityTerms(), all, 1)
		p.scoreOwn(s, pi.GetPreferredAntiAffinityTerms(), all, -1)
	}
	p.scoreExisting(s, pod, withAffinity)
	if len(s.tallies) == 0 {
		return fwk.NewStatus(fwk.Skip)
	}
	cs.Write(preScoreKey, s)
	return nil
}

// scoreOwn adds what the pod's preferred terms think of pods that run.
func (p *InterPodAffinity) scoreOwn(s *scoreState, terms []fwk.WeightedAffinityTerm, nodes []fwk.NodeInfo, sign int64) {
	for i := range terms {
		memo := p.count(p.resolve(terms[i].AffinityTerm))
		for _, n := range nodes {
			if c := memo.Of(n); c > 0 {
				t := s.of(terms[i].TopologyKey)
				t.counts.Add(t.domains.Of(n), sign*int64(terms[i].Weight)*int64(c))
			}
		}
	}
}

// scoreExisting adds what terms of pods that run think of the pod.
func (p *InterPodAffinity) scoreExisting(s *scoreState, pod *v1.Pod, nodes []fwk.NodeInfo) {
	if len(nodes) == 0 {
		return
	}
	nsLabels := p.namespaces.NamespaceLabels(pod.Namespace)
	memo := p.opinions.Get("prefer\x00"+p.identity(pod), func(n fwk.NodeInfo) []opinion { return opinionsOf(n, pod, nsLabels) })
	for _, n := range nodes {
		for _, o := range memo.Of(n) {
			t := s.of(o.key)
			t.counts.Add(t.domains.Of(n), o.n)
		}
	}
}

func opinionsOf(n fwk.NodeInfo, pod *v1.Pod, nsLabels labels.Set) []opinion {
	var out []opinion
	for _, other := range n.GetPodsWithAffinity() {
		for _, t := range other.GetRequiredAffinityTerms() {
			if t.Matches(pod, nsLabels) {
				out = addOpinion(out, t.TopologyKey, hardPodAffinityWeight)
			}
		}
		for _, t := range other.GetPreferredAffinityTerms() {
			if t.Matches(pod, nsLabels) {
				out = addOpinion(out, t.TopologyKey, int64(t.Weight))
			}
		}
		for _, t := range other.GetPreferredAntiAffinityTerms() {
			if t.Matches(pod, nsLabels) {
				out = addOpinion(out, t.TopologyKey, -int64(t.Weight))
			}
		}
	}
	return out
}

// Score sums over all keys what the node's domains weigh.
func (p *InterPodAffinity) Score(_ context.Context, cs fwk.CycleState, _ *v1.Pod, node fwk.NodeInfo) (int64, *fwk.Status) {
	data, err := cs.Read(preScoreKey)
	if err != nil {
		return 0, fwk.AsStatus(err)
	}
	var sum int64
	for i := range data.(*scoreState).tallies {
		t := &data.(*scoreState).tallies[i]
		if id := t.domains.Of(node); id != topology.None {
			sum += t.counts.Of(id)
		}
	}
	return sum, nil
}

func (p *InterPodAffinity) ScoreExtensions() fwk.ScoreExtensions { return p }

// NormalizeScore stretches scores over 0..100; all 0 where they do not differ.
func (*InterPodAffinity) NormalizeScore(_ context.Context, _ fwk.CycleState, _ *v1.Pod, scores fwk.NodeScoreList) *fwk.Status {
	var lowest, highest int64 = math.MaxInt64, math.MinInt64
	for i := range scores {
		lowest, highest = min(lowest, scores[i].Score), max(highest, scores[i].Score)
	}
	for i := range scores {
		if highest == lowest {
			scores[i].Score = 0
			continue
		}
		scores[i].Score = int64(float64(fwk.MaxScore) * float64(scores[i].Score-lowest) / float64(highest-lowest))
	}
	return nil
}
