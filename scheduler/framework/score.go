package framework

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"
)

// scoreBuffers are reused from cycle to cycle: 400 nodes times seven plugins
// would otherwise be 70 KB of garbage for each pod.
type scoreBuffers struct {
	scores fwk.NodeScoreList
	totals []int64
}

// RunPreScorePlugins prepares scoring; plugins that return Skip do not score.
func (f *Framework) RunPreScorePlugins(ctx context.Context, cs fwk.CycleState, pod *v1.Pod, nodes []fwk.NodeInfo) *fwk.Status {
	var skip sets.Set[string]
	for _, p := range f.preScores {
		s := p.PreScore(ctx, cs, pod, nodes)
		if s.IsSkip() {
			if skip == nil {
				skip = sets.New[string]()
			}
			skip.Insert(p.Name())
			continue
		}
		if !s.IsSuccess() {
			return fwk.AsStatus(fmt.Errorf("running PreScore plugin %q: %w", p.Name(), s.AsError()))
		}
	}
	cs.SetSkipScorePlugins(skip)
	return nil
}

// TotalScores returns the weighted sum of all scores for each node. The slice
// is valid until the next call.
func (f *Framework) TotalScores(ctx context.Context, cs fwk.CycleState, pod *v1.Pod, nodes []fwk.NodeInfo) ([]int64, *fwk.Status) {
	totals := f.buffers.totals[:0]
	for range nodes {
		totals = append(totals, 0)
	}
	f.buffers.totals = totals
	skip := cs.GetSkipScorePlugins()
	for i := range f.scores {
		p := &f.scores[i]
		if skip.Has(p.Name()) {
			continue
		}
		list, s := f.scoreOne(ctx, cs, pod, nodes, p)
		if !s.IsSuccess() {
			return nil, s
		}
		for j := range list {
			totals[j] += list[j].Score * p.weight
		}
	}
	return totals, nil
}

func (f *Framework) scoreOne(ctx context.Context, cs fwk.CycleState, pod *v1.Pod, nodes []fwk.NodeInfo, p *weighted) (fwk.NodeScoreList, *fwk.Status) {
	list := f.buffers.scores[:0]
	for _, n := range nodes {
		score, s := p.Score(ctx, cs, pod, n)
		if !s.IsSuccess() {
			return nil, fwk.AsStatus(fmt.Errorf("running Score plugin %q: %w", p.Name(), s.AsError()))
		}
		list = append(list, fwk.NodeScore{Name: n.Node().Name, Score: score})
	}
	f.buffers.scores = list
	if p.extensions != nil {
		if s := p.extensions.NormalizeScore(ctx, cs, pod, list); !s.IsSuccess() {
			return nil, fwk.AsStatus(fmt.Errorf("running Normalize on Score plugin %q: %w", p.Name(), s.AsError()))
		}
	}
	for i := range list {
		if list[i].Score < fwk.MinScore || list[i].Score > fwk.MaxScore {
			return nil, fwk.AsStatus(fmt.Errorf("plugin %q returns an invalid score %d, it should in the range of [%d, %d] after normalizing", p.Name(), list[i].Score, fwk.MinScore, fwk.MaxScore))
		}
	}
	return list, nil
}

// RunScorePlugins implements fwk.PluginsRunner, with every plugin's share.
func (f *Framework) RunScorePlugins(ctx context.Context, cs fwk.CycleState, pod *v1.Pod, nodes []fwk.NodeInfo) ([]fwk.NodePluginScores, *fwk.Status) {
	out := make([]fwk.NodePluginScores, len(nodes))
	for j, n := range nodes {
		out[j].Name = n.Node().Name
	}
	for i := range f.scores {
		p := &f.scores[i]
		if cs.GetSkipScorePlugins().Has(p.Name()) {
			continue
		}
		list, s := f.scoreOne(ctx, cs, pod, nodes, p)
		if !s.IsSuccess() {
			return nil, s
		}
		for j := range list {
			score := list[j].Score * p.weight
			out[j].Scores = append(out[j].Scores, fwk.PluginScore{Name: p.Name(), Score: score})
			out[j].TotalScore += score
		}
	}
	return out, nil
}

// NormalizeScores scales scores to 0..max in proportion to the highest, turned
// round if reverse. Plugins use it in NormalizeScore.
func NormalizeScores(maxScore int64, reverse bool, scores fwk.NodeScoreList) {
	var highest int64
	for i := range scores {
		highest = max(highest, scores[i].Score)
	}
	for i := range scores {
		switch {
		case highest == 0 && reverse:
			scores[i].Score = maxScore
		case highest == 0:
		case reverse:
			scores[i].Score = maxScore - maxScore*scores[i].Score/highest
		default:
			scores[i].Score = maxScore * scores[i].Score / highest
		}
	}
}
