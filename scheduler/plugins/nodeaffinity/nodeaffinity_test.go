package nodeaffinity

import (
	"context"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/cache"
	"github.com/coracle-k8s/coracle/scheduler/framework"
)

func in(key string, values ...string) v1.NodeSelectorRequirement {
	return v1.NodeSelectorRequirement{Key: key, Operator: v1.NodeSelectorOpIn, Values: values}
}

func labels(r ...v1.NodeSelectorRequirement) v1.NodeSelectorTerm {
	return v1.NodeSelectorTerm{MatchExpressions: r}
}

func fields(r ...v1.NodeSelectorRequirement) v1.NodeSelectorTerm {
	return v1.NodeSelectorTerm{MatchFields: r}
}

func pod(selector map[string]string, terms ...v1.NodeSelectorTerm) *v1.Pod {
	p := &v1.Pod{Spec: v1.PodSpec{NodeSelector: selector}}
	if terms != nil {
		p.Spec.Affinity = &v1.Affinity{NodeAffinity: &v1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &v1.NodeSelector{NodeSelectorTerms: terms}}}
	}
	return p
}

func node(name string, l map[string]string) *v1.Node {
	return &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: l}}
}

func TestFilter(t *testing.T) {
	n := node("n", map[string]string{"disk": "ssd", "cores": "8"})
	gt := v1.NodeSelectorRequirement{Key: "cores", Operator: v1.NodeSelectorOpGt, Values: []string{"4"}}
	for name, c := range map[string]struct {
		pod *v1.Pod
		ok  bool
	}{
		"selector":               {pod(map[string]string{"disk": "ssd"}), true},
		"other selector":         {pod(map[string]string{"disk": "hdd"}), false},
		"terms are ORed":         {pod(nil, labels(in("disk", "hdd")), labels(gt)), true},
		"requirements are ANDed": {pod(nil, labels(in("disk", "hdd"), gt)), false},
		"selector and terms":     {pod(map[string]string{"disk": "hdd"}, labels(gt)), false},
		"by name":                {pod(nil, fields(in("metadata.name", "n"))), true},
		"an empty term":          {pod(nil, v1.NodeSelectorTerm{}), false},
	} {
		p, cs := New(), framework.NewCycleState()
		p.PreFilter(context.Background(), cs, c.pod, nil)
		s := p.Filter(context.Background(), cs, c.pod, cache.NewNodeInfo(n))
		if s.IsSuccess() != c.ok || !c.ok && s.Message() != "node(s) didn't match Pod's node affinity/selector" {
			t.Errorf("%s: %v", name, s)
		}
	}
}

func TestPreFilterNamesNodes(t *testing.T) {
	for name, c := range map[string]struct {
		pod  *v1.Pod
		want sets.Set[string] // nil: all
		code fwk.Code
	}{
		"nothing asked":     {pod(nil), nil, fwk.Skip},
		"labels":            {pod(nil, labels(in("a", "b"))), nil, fwk.Success},
		"one node":          {pod(nil, fields(in("metadata.name", "n"))), sets.New("n"), fwk.Success},
		"either":            {pod(nil, fields(in("metadata.name", "n")), fields(in("metadata.name", "m"))), sets.New("n", "m"), fwk.Success},
		"one, or by labels": {pod(nil, fields(in("metadata.name", "n")), labels(in("a", "b"))), nil, fwk.Success},
		"contradiction":     {pod(nil, fields(in("metadata.name", "n"), in("metadata.name", "m"))), nil, fwk.UnschedulableAndUnresolvable},
	} {
		r, s := New().PreFilter(context.Background(), framework.NewCycleState(), c.pod, nil)
		if s.Code() != c.code || r.AllNodes() != (c.want == nil) || r != nil && !r.NodeNames.Equal(c.want) {
			t.Errorf("%s: %v %v", name, r, s)
		}
	}
}

func TestScore(t *testing.T) {
	p, cs, ctx := New(), framework.NewCycleState(), context.Background()
	asks := &v1.Pod{Spec: v1.PodSpec{Affinity: &v1.Affinity{NodeAffinity: &v1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []v1.PreferredSchedulingTerm{
		{Weight: 3, Preference: labels(in("disk", "ssd"))}, {Weight: 1, Preference: labels(in("zone", "a"))}}}}}}
	if !p.PreScore(ctx, cs, pod(nil), nil).IsSkip() {
		t.Error("a pod without preferences is not skipped")
	}
	p.PreScore(ctx, cs, asks, nil)
	var scores fwk.NodeScoreList
	for _, l := range []map[string]string{{"disk": "ssd", "zone": "a"}, {"disk": "ssd"}, {"zone": "a"}, {}} {
		s, _ := p.Score(ctx, cs, asks, cache.NewNodeInfo(node("n", l)))
		scores = append(scores, fwk.NodeScore{Score: s})
	}
	p.NormalizeScore(ctx, cs, asks, scores)
	for i, want := range []int64{100, 75, 25, 0} {
		if scores[i].Score != want {
			t.Errorf("node %d: %d, want %d", i, scores[i].Score, want)
		}
	}
}

func TestHint(t *testing.T) {
	ssd, hdd := node("n", map[string]string{"disk": "ssd"}), node("n", map[string]string{"disk": "hdd"})
	for name, c := range map[string]struct {
		old, new any
		want     fwk.QueueingHint
	}{"came to match": {hdd, ssd, fwk.Queue}, "matched before": {ssd, ssd, fwk.QueueSkip}, "ceased": {ssd, hdd, fwk.QueueSkip}, "added": {nil, ssd, fwk.Queue}} {
		if got, _ := cameToMatch(klog.Logger{}, pod(map[string]string{"disk": "ssd"}), c.old, c.new); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
