package scheduler

import (
	"context"
	"math/rand/v2"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/framework"
)

const (
	// minFeasibleNodes are looked for in any case.
	minFeasibleNodes = 100
	// minPercentage is the least that adapting to large clusters gets to.
	minPercentage = 5
)

// search finds nodes for one pod after the other. It goes on where the last
// search ended, so that all nodes get their turn though each search ends early.
type search struct {
	percentage int
	next       int
	rand       *rand.Rand
	feasible   []fwk.NodeInfo // reused
}

func newSearch(seed uint64, percentage int) search {
	return search{percentage: percentage, rand: rand.New(rand.NewPCG(seed, seed))} //nolint:gosec // breaks ties, the same with the same seed
}

// enough returns how many feasible nodes end the search: all of a small cluster,
// and 50 % less 1 % for every 125 nodes of a large one.
// https://kubernetes.io/docs/concepts/scheduling-eviction/scheduler-perf-tuning/
func enough(nodes, percentage int) int {
	if nodes < minFeasibleNodes {
		return nodes
	}
	if percentage == 0 {
		percentage = max(minPercentage, 50-nodes/125)
	}
	return max(minFeasibleNodes, nodes*percentage/100)
}

// filterFunc judges one node.
type filterFunc func(node fwk.NodeInfo) *fwk.Status

// filter returns feasible nodes in order of search and records the others in d.
// An error of a plugin ends it.
func (s *search) filter(ctx context.Context, nodes []fwk.NodeInfo, d *framework.Diagnosis, judge filterFunc) ([]fwk.NodeInfo, error) {
	want := enough(len(nodes), s.percentage)
	s.feasible = s.feasible[:0]
	seen := 0
	for ; seen < len(nodes) && len(s.feasible) < want; seen++ {
		node := nodes[(s.next+seen)%len(nodes)]
		st := judge(node)
		if st.IsSuccess() {
			s.feasible = append(s.feasible, node)
			continue
		}
		if st.IsError() {
			return nil, st.AsError()
		}
		d.NodeToStatus.Set(node.Node().Name, st)
		d.Blame(st)
	}
	if len(nodes) > 0 {
		s.next = (s.next + seen) % len(nodes)
	}
	return s.feasible, ctx.Err()
}

// best picks the node with the highest score, one of several at random.
func (s *search) best(nodes []fwk.NodeInfo, scores []int64) *v1.Node {
	pick, ties := 0, 1
	for i := 1; i < len(nodes); i++ {
		switch {
		case scores[i] > scores[pick]:
			pick, ties = i, 1
		case scores[i] == scores[pick]:
			ties++
			if s.rand.IntN(ties) == 0 {
				pick = i
			}
		}
	}
	return nodes[pick].Node()
}
