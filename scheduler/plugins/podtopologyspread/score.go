package podtopologyspread

import (
	"context"
	"math"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/topology"
)

// ignored is the raw score of nodes that lack a label which the pod's own
// constraints need.
const ignored int64 = -1

type scoreState struct {
	rules []scoreRule
	// strict ignores nodes that lack a label; default constraints do not.
	strict bool
}

type scoreRule struct {
	constraint
	domains *topology.Domains
	memo    *topology.Memo[int32]
	perNode bool // the key is the hostname: every node is a domain
	counts  topology.Counts
	weight  float64
}

// Clone shares the state: nothing changes it after PreScore.
func (s *scoreState) Clone() fwk.StateData { return s }

// PreScore counts, and skips pods without soft constraints.
func (p *PodTopologySpread) PreScore(_ context.Context, cs fwk.CycleState, pod *v1.Pod, candidates []fwk.NodeInfo) *fwk.Status {
	s := &scoreState{strict: len(pod.Spec.TopologySpreadConstraints) > 0}
	constraints, err := explicit(pod, v1.ScheduleAnyway)
	if err != nil {
		return fwk.AsStatus(err)
	}
	if !s.strict {
		if selector := p.selectors.DefaultSelector(pod); !selector.Empty() {
			constraints = defaults(selector)
		}
	}
	if len(constraints) == 0 {
		return fwk.NewStatus(fwk.Skip)
	}
	all := p.cluster.Nodes()
	pol := newPolicy(pod)
	for _, c := range constraints {
		s.rules = append(s.rules, scoreRule{
			constraint: c, domains: p.keys.Get(c.key, len(all)), memo: p.memo(pod.Namespace, &c), perNode: c.key == v1.LabelHostname,
		})
	}
	for i := range s.rules {
		s.rules[i].prepare(s, &pol, candidates, all)
	}
	cs.Write(preScoreKey, s)
	return nil
}

// prepare counts pods in the domains that candidates are in. A key of many
// domains weighs more, since each holds few pods.
func (r *scoreRule) prepare(s *scoreState, pol *policy, candidates, all []fwk.NodeInfo) {
	var seen topology.Counts
	domains := 0
	for _, n := range candidates {
		if s.ignores(n) {
			continue
		}
		if r.perNode {
			domains++
			continue
		}
		// Nodes without the label are one domain more, as in Kubernetes.
		id := r.domains.Of(n) + 1
		if seen.Of(id) == 0 {
			seen.Add(id, 1)
			domains++
		}
	}
	r.weight = math.Log(float64(domains + 2))
	if r.perNode {
		return
	}
	for _, n := range all {
		id := r.domains.Of(n)
		if id == topology.None || seen.Of(id+1) == 0 || s.ignores(n) || !pol.counts(&r.constraint, n.Node()) {
			continue
		}
		r.counts.Add(id, int64(r.memo.Of(n)))
	}
}

func (s *scoreState) ignores(n fwk.NodeInfo) bool {
	if !s.strict {
		return false
	}
	for i := range s.rules {
		if s.rules[i].domains.Of(n) == topology.None {
			return true
		}
	}
	return false
}

// Score grows with the pods that are in the node's domains already.
func (p *PodTopologySpread) Score(_ context.Context, cs fwk.CycleState, _ *v1.Pod, node fwk.NodeInfo) (int64, *fwk.Status) {
	data, err := cs.Read(preScoreKey)
	if err != nil {
		return 0, fwk.AsStatus(err)
	}
	s := data.(*scoreState)
	if s.ignores(node) {
		return ignored, nil
	}
	var score float64
	for i := range s.rules {
		r := &s.rules[i]
		id := r.domains.Of(node)
		if id == topology.None {
			continue
		}
		count := r.counts.Of(id)
		if r.perNode {
			count = int64(r.memo.Of(node))
		}
		// A high maxSkew tolerates a difference, which its share evens out.
		score += float64(count)*r.weight + float64(r.maxSkew-1)
	}
	return int64(math.Round(score)), nil
}

func (p *PodTopologySpread) ScoreExtensions() fwk.ScoreExtensions { return p }

// NormalizeScore makes the emptiest domains the best; ignored nodes get 0.
func (*PodTopologySpread) NormalizeScore(_ context.Context, _ fwk.CycleState, _ *v1.Pod, scores fwk.NodeScoreList) *fwk.Status {
	var lowest, highest int64 = math.MaxInt64, 0
	for i := range scores {
		if scores[i].Score != ignored {
			lowest, highest = min(lowest, scores[i].Score), max(highest, scores[i].Score)
		}
	}
	for i := range scores {
		switch {
		case scores[i].Score == ignored:
			scores[i].Score = 0
		case highest == 0:
			scores[i].Score = fwk.MaxScore
		default:
			scores[i].Score = fwk.MaxScore * (highest + lowest - scores[i].Score) / highest
		}
	}
	return nil
}
