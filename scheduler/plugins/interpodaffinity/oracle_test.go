package interpodaffinity

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/coracle-k8s/coracle/scheduler/cache"
	"github.com/coracle-k8s/coracle/scheduler/framework"
)

// cluster is a random cluster that changes between cycles.
type cluster struct {
	rand  *rand.Rand
	cache *cache.Cache
	snap  *cache.Snapshot
	nodes map[string]*v1.Node
	pods  map[types.UID]*v1.Pod
	ns    map[string]labels.Set
	next  int
}

func (c *cluster) NamespaceLabels(name string) labels.Set { return c.ns[name] }
func (c *cluster) Namespaces(visit func(string, labels.Set)) {
	for name, l := range c.ns {
		visit(name, l)
	}
}

func newCluster(seed uint64) *cluster {
	return &cluster{rand: rand.New(rand.NewPCG(seed, 2)), cache: cache.New(), snap: cache.NewSnapshot(),
		nodes: map[string]*v1.Node{}, pods: map[types.UID]*v1.Pod{},
		ns: map[string]labels.Set{"d": {"team": "red"}, "e": {"team": "blue"}}}
}

func (c *cluster) pick(list ...string) string { return list[c.rand.IntN(len(list))] }

func (c *cluster) mutate() {
	for range 1 + c.rand.IntN(5) {
		name := fmt.Sprintf("n%d", c.rand.IntN(7))
		switch c.rand.IntN(7) {
		case 0, 1:
			n := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"host": name}}}
			if c.rand.IntN(5) > 0 {
				n.Labels["zone"] = c.pick("x", "y", "z")
			}
			c.nodes[name] = n
			c.cache.SetNode(n)
		case 2:
			delete(c.nodes, name)
			c.cache.RemoveNode(name)
		case 3, 4:
			for uid := range c.pods {
				delete(c.pods, uid)
				c.cache.RemovePod(uid)
				break
			}
		default:
			c.next++
			p := c.pod(fmt.Sprintf("p%d", c.next))
			p.Spec.NodeName = name
			c.pods[p.UID] = p
			if err := c.cache.SetPod(p); err != nil {
				panic(err)
			}
		}
	}
	c.cache.UpdateSnapshot(c.snap)
}

func (c *cluster) pod(name string) *v1.Pod {
	p := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: c.pick("d", "e"), Name: name, UID: types.UID(name), Labels: map[string]string{"app": c.pick("a", "b", "c")}}}
	if c.rand.IntN(2) == 0 {
		return p
	}
	p.Spec.Affinity = &v1.Affinity{PodAffinity: &v1.PodAffinity{}, PodAntiAffinity: &v1.PodAntiAffinity{}}
	for range c.rand.IntN(3) {
		a := p.Spec.Affinity
		weighted := v1.WeightedPodAffinityTerm{Weight: int32(1 + c.rand.IntN(10)), PodAffinityTerm: c.term()}
		switch c.rand.IntN(4) {
		case 0:
			a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution = append(a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution, c.term())
		case 1:
			a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution = append(a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution, c.term())
		case 2:
			a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution = append(a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution, weighted)
		default:
			a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution = append(a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution, weighted)
		}
	}
	return p
}

func (c *cluster) term() v1.PodAffinityTerm {
	t := v1.PodAffinityTerm{TopologyKey: c.pick("host", "zone"), LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": c.pick("a", "b", "c")}}}
	switch c.rand.IntN(5) {
	case 0:
		t.Namespaces = []string{c.pick("d", "e")}
	case 1:
		t.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": c.pick("red", "blue")}}
	case 2:
		t.NamespaceSelector = &metav1.LabelSelector{}
	}
	return t
}

// The oracle reads terms straight from the API's words.

func (c *cluster) matches(t v1.PodAffinityTerm, owner, other *v1.Pod) bool {
	in := len(t.Namespaces) == 0 && t.NamespaceSelector == nil && other.Namespace == owner.Namespace
	for _, ns := range t.Namespaces {
		in = in || ns == other.Namespace
	}
	if s := t.NamespaceSelector; s != nil {
		in = in || len(s.MatchLabels) == 0 || c.ns[other.Namespace]["team"] == s.MatchLabels["team"]
	}
	return in && other.Labels["app"] == t.LabelSelector.MatchLabels["app"]
}

func terms(p *v1.Pod) (affinity, anti []v1.PodAffinityTerm, likes, dislikes []v1.WeightedPodAffinityTerm) {
	if a := p.Spec.Affinity; a != nil {
		return a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution, a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution,
			a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution, a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution
	}
	return
}

// together reports whether the pod's node is in the same domain as node.
func (c *cluster) together(p *v1.Pod, node *v1.Node, key string) bool {
	on, ok := c.nodes[p.Spec.NodeName]
	if !ok {
		return false
	}
	a, had := on.Labels[key]
	b, has := node.Labels[key]
	return had && has && a == b
}

func (c *cluster) wantFilter(pod *v1.Pod, node *v1.Node) string {
	affinity, anti, _, _ := terms(pod)
	all := func(p *v1.Pod) bool {
		for _, t := range affinity {
			if !c.matches(t, pod, p) {
				return false
			}
		}
		return true
	}
	satisfied, anywhere := true, false
	for _, t := range affinity {
		if _, ok := node.Labels[t.TopologyKey]; !ok {
			return ErrReasonAffinity
		}
		here := false
		for _, p := range c.pods {
			if !all(p) {
				continue
			}
			here = here || c.together(p, node, t.TopologyKey)
			if on, ok := c.nodes[p.Spec.NodeName]; ok {
				_, labelled := on.Labels[t.TopologyKey]
				anywhere = anywhere || labelled
			}
		}
		satisfied = satisfied && here
	}
	if !satisfied && (anywhere || !all(pod)) {
		return ErrReasonAffinity
	}
	for _, t := range anti {
		for _, p := range c.pods {
			if c.matches(t, pod, p) && c.together(p, node, t.TopologyKey) {
				return ErrReasonAntiAffinity
			}
		}
	}
	for _, p := range c.pods {
		_, theirs, _, _ := terms(p)
		for _, t := range theirs {
			if c.matches(t, p, pod) && c.together(p, node, t.TopologyKey) {
				return ErrReasonExisting
			}
		}
	}
	return ""
}

func (c *cluster) wantScore(pod *v1.Pod, node *v1.Node) int64 {
	var sum int64
	_, _, likes, dislikes := terms(pod)
	for _, p := range c.pods {
		add := func(t v1.PodAffinityTerm, owner, other *v1.Pod, w int64) {
			if c.matches(t, owner, other) && c.together(p, node, t.TopologyKey) {
				sum += w
			}
		}
		for _, t := range likes {
			add(t.PodAffinityTerm, pod, p, int64(t.Weight))
		}
		for _, t := range dislikes {
			add(t.PodAffinityTerm, pod, p, -int64(t.Weight))
		}
		hard, _, theyLike, theyDislike := terms(p)
		for _, t := range hard {
			add(t, p, pod, 1)
		}
		for _, t := range theyLike {
			add(t.PodAffinityTerm, p, pod, int64(t.Weight))
		}
		for _, t := range theyDislike {
			add(t.PodAffinityTerm, p, pod, -int64(t.Weight))
		}
	}
	return sum
}

func TestAgainstOracle(t *testing.T) {
	ctx := context.Background()
	refusals := map[string]int{}
	for seed := range uint64(40) {
		c := newCluster(seed)
		plugin := New(c.snap, c)
		for cycle := range 60 {
			c.mutate()
			pod := c.pod("incoming")
			at := fmt.Sprintf("seed %d cycle %d", seed, cycle)
			cs := framework.NewCycleState()
			_, s := plugin.PreFilter(ctx, cs, pod, c.snap.Nodes())
			for _, n := range c.snap.Nodes() {
				got := ""
				if !s.IsSkip() {
					got = plugin.Filter(ctx, cs, pod, n).Message()
				}
				want := c.wantFilter(pod, n.Node())
				refusals[want]++
				if got != want {
					t.Fatalf("%s node %s: Filter said %q, want %q", at, n.Node().Name, got, want)
				}
			}
			if !s.IsSkip() {
				checkIncremental(t, ctx, c, plugin, pod, cs.Clone().(*framework.CycleState), at)
			}
			s = plugin.PreScore(ctx, cs, pod, c.snap.Nodes())
			for _, n := range c.snap.Nodes() {
				var got int64
				if !s.IsSkip() {
					got, _ = plugin.Score(ctx, cs, pod, n)
				}
				if want := c.wantScore(pod, n.Node()); got != want {
					t.Fatalf("%s node %s: score %d, want %d", at, n.Node().Name, got, want)
				}
			}
		}
	}
	for _, reason := range []string{"", ErrReasonAffinity, ErrReasonAntiAffinity, ErrReasonExisting} {
		if refusals[reason] < 50 {
			t.Errorf("only %d cases of %q: the random clusters test too little", refusals[reason], reason)
		}
	}
}

func checkIncremental(t *testing.T, ctx context.Context, c *cluster, plugin *InterPodAffinity, pod *v1.Pod, cs *framework.CycleState, at string) {
	for uid, p := range c.pods {
		node, err := c.snap.Get(p.Spec.NodeName)
		if err != nil {
			continue
		}
		pi, _ := cache.NewPodInfo(p)
		plugin.RemovePod(ctx, cs, pod, pi, node)
		delete(c.pods, uid)
		for _, n := range c.snap.Nodes() {
			got := plugin.Filter(ctx, cs, pod, n).Message()
			if want := c.wantFilter(pod, n.Node()); got != want {
				t.Fatalf("%s node %s without %s: Filter said %q, want %q", at, n.Node().Name, uid, got, want)
			}
		}
		c.pods[uid] = p
		return
	}
}
