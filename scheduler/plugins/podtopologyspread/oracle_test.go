package podtopologyspread

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/cache"
	"github.com/coracle-k8s/coracle/scheduler/framework"
)

// cluster is a random cluster that changes between cycles, so that what the
// plugin remembers is put to the test.
type cluster struct {
	rand  *rand.Rand
	cache *cache.Cache
	snap  *cache.Snapshot
	nodes map[string]*v1.Node
	pods  map[types.UID]*v1.Pod
	next  int
}

func newCluster(seed uint64) *cluster {
	return &cluster{rand: rand.New(rand.NewPCG(seed, 1)), cache: cache.New(), snap: cache.NewSnapshot(),
		nodes: map[string]*v1.Node{}, pods: map[types.UID]*v1.Pod{}}
}

func (c *cluster) pick(list ...string) string { return list[c.rand.IntN(len(list))] }

func (c *cluster) mutate() {
	for range 1 + c.rand.IntN(6) {
		switch c.rand.IntN(8) {
		case 0, 1:
			name := fmt.Sprintf("n%d", c.rand.IntN(8))
			n := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1.LabelHostname: name, "disk": c.pick("ssd", "hdd")}}}
			if c.rand.IntN(5) > 0 {
				n.Labels[v1.LabelTopologyZone] = c.pick("x", "y", "z")
			}
			if c.rand.IntN(4) == 0 {
				n.Spec.Taints = []v1.Taint{{Key: "k", Effect: v1.TaintEffectNoSchedule}}
			}
			c.nodes[name] = n
			c.cache.SetNode(n)
		case 2:
			name := fmt.Sprintf("n%d", c.rand.IntN(8))
			delete(c.nodes, name)
			c.cache.RemoveNode(name)
		case 3:
			for uid := range c.pods {
				delete(c.pods, uid)
				c.cache.RemovePod(uid)
				break
			}
		default:
			c.next++
			p := c.pod(fmt.Sprintf("p%d", c.next))
			p.Spec.NodeName = fmt.Sprintf("n%d", c.rand.IntN(8))
			if c.rand.IntN(6) == 0 {
				p.DeletionTimestamp = &metav1.Time{}
			}
			c.pods[p.UID] = p
			if err := c.cache.SetPod(p); err != nil {
				panic(err)
			}
		}
	}
	c.cache.UpdateSnapshot(c.snap)
}

func (c *cluster) pod(name string) *v1.Pod {
	return &v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: c.pick("d", "d", "e"), Name: name, UID: types.UID(name), Labels: map[string]string{"app": c.pick("a", "b")}}}
}

func (c *cluster) incoming() *v1.Pod {
	p := c.pod("incoming")
	for range 1 + c.rand.IntN(2) {
		t := v1.TopologySpreadConstraint{
			MaxSkew: int32(1 + c.rand.IntN(2)), TopologyKey: c.pick(v1.LabelHostname, v1.LabelTopologyZone),
			WhenUnsatisfiable: v1.UnsatisfiableConstraintAction(c.pick(string(v1.DoNotSchedule), string(v1.ScheduleAnyway))),
			LabelSelector:     &metav1.LabelSelector{MatchLabels: map[string]string{"app": c.pick("a", "b")}},
		}
		if c.rand.IntN(3) == 0 && t.WhenUnsatisfiable == v1.DoNotSchedule {
			n := int32(1 + c.rand.IntN(4))
			t.MinDomains = &n
		}
		honor, ignore := v1.NodeInclusionPolicyHonor, v1.NodeInclusionPolicyIgnore
		if c.rand.IntN(3) == 0 {
			t.NodeTaintsPolicy = &honor
		}
		if c.rand.IntN(3) == 0 {
			t.NodeAffinityPolicy = &ignore
		}
		p.Spec.TopologySpreadConstraints = append(p.Spec.TopologySpreadConstraints, t)
	}
	if c.rand.IntN(3) == 0 {
		p.Spec.NodeSelector = map[string]string{"disk": "ssd"}
	}
	return p
}

func (c *cluster) DefaultSelector(pod *v1.Pod) labels.Selector {
	return labels.SelectorFromSet(labels.Set{"app": pod.Labels["app"]})
}

// The oracle counts everything again, straight from the API's definition.

func (c *cluster) of(pod *v1.Pod, when v1.UnsatisfiableConstraintAction) []v1.TopologySpreadConstraint {
	var out []v1.TopologySpreadConstraint
	for _, t := range pod.Spec.TopologySpreadConstraints {
		if t.WhenUnsatisfiable == when {
			out = append(out, t)
		}
	}
	return out
}

func included(pod *v1.Pod, t v1.TopologySpreadConstraint, all []v1.TopologySpreadConstraint, n *v1.Node) bool {
	for _, other := range all {
		if _, ok := n.Labels[other.TopologyKey]; !ok {
			return false
		}
	}
	if t.NodeTaintsPolicy != nil && *t.NodeTaintsPolicy == v1.NodeInclusionPolicyHonor && len(n.Spec.Taints) > 0 {
		return false
	}
	if t.NodeAffinityPolicy == nil || *t.NodeAffinityPolicy == v1.NodeInclusionPolicyHonor {
		for k, v := range pod.Spec.NodeSelector {
			if n.Labels[k] != v {
				return false
			}
		}
	}
	return true
}

func (c *cluster) count(t v1.TopologySpreadConstraint, namespace, node string) int {
	n := 0
	for _, p := range c.pods {
		if p.Spec.NodeName == node && p.Namespace == namespace && p.DeletionTimestamp == nil && p.Labels["app"] == t.LabelSelector.MatchLabels["app"] {
			n++
		}
	}
	return n
}

func (c *cluster) wantFilter(pod *v1.Pod, node *v1.Node) string {
	hard := c.of(pod, v1.DoNotSchedule)
	for _, t := range hard {
		domain, ok := node.Labels[t.TopologyKey]
		if !ok {
			return ErrReasonLabel
		}
		byDomain := map[string]int{}
		for name, n := range c.nodes {
			if included(pod, t, hard, n) {
				byDomain[n.Labels[t.TopologyKey]] += c.count(t, pod.Namespace, name)
			}
		}
		least := math.MaxInt
		for _, n := range byDomain {
			least = min(least, n)
		}
		if len(byDomain) == 0 || t.MinDomains != nil && len(byDomain) < int(*t.MinDomains) {
			least = 0
		}
		self := 0
		if pod.Labels["app"] == t.LabelSelector.MatchLabels["app"] {
			self = 1
		}
		if byDomain[domain]+self-least > int(t.MaxSkew) {
			return ErrReason
		}
	}
	return ""
}

// wantScores returns raw scores of all nodes; -1 where the node is ignored.
func (c *cluster) wantScores(pod *v1.Pod) map[string]int64 {
	soft, strict := c.of(pod, v1.ScheduleAnyway), true
	if len(pod.Spec.TopologySpreadConstraints) == 0 {
		strict = false
		s := &metav1.LabelSelector{MatchLabels: map[string]string{"app": pod.Labels["app"]}}
		soft = []v1.TopologySpreadConstraint{{MaxSkew: 3, TopologyKey: v1.LabelHostname, LabelSelector: s}, {MaxSkew: 5, TopologyKey: v1.LabelTopologyZone, LabelSelector: s}}
	}
	valid := func(n *v1.Node) bool {
		for _, t := range soft {
			if _, ok := n.Labels[t.TopologyKey]; !ok && strict {
				return false
			}
		}
		return true
	}
	out := map[string]int64{}
	for name, n := range c.nodes {
		if !valid(n) {
			out[name] = ignored
			continue
		}
		sum := 0.0
		for _, t := range soft {
			domains, hosts := map[string]bool{}, 0
			for _, m := range c.nodes {
				if valid(m) {
					hosts++
					domains[m.Labels[t.TopologyKey]] = true
				}
			}
			domain, ok := n.Labels[t.TopologyKey]
			if !ok {
				continue
			}
			size, count := len(domains), 0
			if t.TopologyKey == v1.LabelHostname {
				size, count = hosts, c.count(t, pod.Namespace, name)
			} else {
				for other, m := range c.nodes {
					if d, ok := m.Labels[t.TopologyKey]; ok && d == domain && valid(m) && included(pod, t, nil, m) {
						count += c.count(t, pod.Namespace, other)
					}
				}
			}
			sum += float64(count)*math.Log(float64(size+2)) + float64(t.MaxSkew-1)
		}
		out[name] = int64(math.Round(sum))
	}
	return out
}

func TestAgainstOracle(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(40) {
		c := newCluster(seed)
		plugin := New(c.snap, c)
		for cycle := range 60 {
			c.mutate()
			pod := c.incoming()
			if cycle%5 == 0 {
				pod.Spec.TopologySpreadConstraints = nil
			}
			checkFilter(t, ctx, c, plugin, pod, fmt.Sprintf("seed %d cycle %d", seed, cycle))
			checkScore(t, ctx, c, plugin, pod, fmt.Sprintf("seed %d cycle %d", seed, cycle))
			if t.Failed() {
				return
			}
		}
	}
}

func checkFilter(t *testing.T, ctx context.Context, c *cluster, plugin *PodTopologySpread, pod *v1.Pod, at string) {
	cs := framework.NewCycleState()
	_, s := plugin.PreFilter(ctx, cs, pod, c.snap.Nodes())
	if skipped := len(c.of(pod, v1.DoNotSchedule)) == 0; skipped != s.IsSkip() {
		t.Errorf("%s: PreFilter said %v", at, s)
	}
	if s.IsSkip() {
		return
	}
	for _, n := range c.snap.Nodes() {
		got := plugin.Filter(ctx, cs, pod, n).Message()
		if want := c.wantFilter(pod, n.Node()); got != want {
			t.Errorf("%s node %s: Filter said %q, want %q", at, n.Node().Name, got, want)
		}
	}
	checkIncremental(t, ctx, c, plugin, pod, cs, at)
}

// checkIncremental removes a pod by PreFilter's extension and compares with a
// cluster in which it never was.
func checkIncremental(t *testing.T, ctx context.Context, c *cluster, plugin *PodTopologySpread, pod *v1.Pod, cs fwk.CycleState, at string) {
	for uid, p := range c.pods {
		node, err := c.snap.Get(p.Spec.NodeName)
		if err != nil {
			continue
		}
		clone := cs.Clone()
		pi, _ := cache.NewPodInfo(p)
		plugin.RemovePod(ctx, clone, pod, pi, node)
		delete(c.pods, uid)
		for _, n := range c.snap.Nodes() {
			got := plugin.Filter(ctx, clone, pod, n).Message()
			if want := c.wantFilter(pod, n.Node()); got != want {
				t.Errorf("%s node %s without %s: Filter said %q, want %q", at, n.Node().Name, uid, got, want)
			}
		}
		c.pods[uid] = p
		return
	}
}

func checkScore(t *testing.T, ctx context.Context, c *cluster, plugin *PodTopologySpread, pod *v1.Pod, at string) {
	cs := framework.NewCycleState()
	if plugin.PreScore(ctx, cs, pod, c.snap.Nodes()).IsSkip() {
		if len(pod.Spec.TopologySpreadConstraints) == 0 || len(c.of(pod, v1.ScheduleAnyway)) > 0 {
			t.Errorf("%s: PreScore skipped", at)
		}
		return
	}
	want := c.wantScores(pod)
	for _, n := range c.snap.Nodes() {
		if got, _ := plugin.Score(ctx, cs, pod, n); got != want[n.Node().Name] {
			t.Errorf("%s node %s: score %d, want %d", at, n.Node().Name, got, want[n.Node().Name])
		}
	}
}

func TestNormalizeScore(t *testing.T) {
	scores := fwk.NodeScoreList{{Score: 10}, {Score: 5}, {Score: ignored}, {Score: 0}}
	New(nil, nil).NormalizeScore(context.Background(), nil, nil, scores)
	for i, want := range []int64{0, 50, 0, 100} {
		if scores[i].Score != want {
			t.Errorf("score %d is %d, want %d", i, scores[i].Score, want)
		}
	}
}
