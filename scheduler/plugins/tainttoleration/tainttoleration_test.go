package tainttoleration

import (
	"context"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/cache"
)

func node(taints ...v1.Taint) *v1.Node { return &v1.Node{Spec: v1.NodeSpec{Taints: taints}} }

func pod(tolerations ...v1.Toleration) *v1.Pod {
	return &v1.Pod{Spec: v1.PodSpec{Tolerations: tolerations}}
}

var (
	noSchedule = v1.Taint{Key: "a", Value: "x", Effect: v1.TaintEffectNoSchedule}
	noExecute  = v1.Taint{Key: "b", Effect: v1.TaintEffectNoExecute}
	prefer     = v1.Taint{Key: "c", Effect: v1.TaintEffectPreferNoSchedule}
	prefer2    = v1.Taint{Key: "d", Effect: v1.TaintEffectPreferNoSchedule}
)

func TestFilter(t *testing.T) {
	equal := v1.Toleration{Key: "a", Operator: v1.TolerationOpEqual, Value: "x"}
	for name, c := range map[string]struct {
		node *v1.Node
		pod  *v1.Pod
		ok   bool
	}{
		"no taint":        {node(), pod(), true},
		"untolerated":     {node(noSchedule), pod(), false},
		"tolerated":       {node(noSchedule), pod(equal), true},
		"one of two":      {node(noSchedule, noExecute), pod(equal), false},
		"everything":      {node(noSchedule, noExecute), pod(v1.Toleration{Operator: v1.TolerationOpExists}), true},
		"other value":     {node(noSchedule), pod(v1.Toleration{Key: "a", Value: "y"}), false},
		"other effect":    {node(noSchedule), pod(v1.Toleration{Key: "a", Operator: v1.TolerationOpExists, Effect: v1.TaintEffectNoExecute}), false},
		"mere preference": {node(prefer), pod(), true},
	} {
		s := New().Filter(context.Background(), nil, c.pod, cache.NewNodeInfo(c.node))
		if s.IsSuccess() != c.ok || !c.ok && (s.Message() != "node(s) had untolerated taint(s)" || s.Code() != fwk.UnschedulableAndUnresolvable) {
			t.Errorf("%s: %v %v", name, s.Code(), s)
		}
	}
}

func TestScore(t *testing.T) {
	ctx, p := context.Background(), New()
	nodes := []fwk.NodeInfo{cache.NewNodeInfo(node()), cache.NewNodeInfo(node(prefer)), cache.NewNodeInfo(node(prefer, prefer2))}
	if !p.PreScore(ctx, nil, pod(), nodes[:1]).IsSkip() || p.PreScore(ctx, nil, pod(), nodes).IsSkip() {
		t.Error("PreScore skips exactly where no taint asks for preference")
	}
	var scores fwk.NodeScoreList
	for _, n := range nodes {
		score, _ := p.Score(ctx, nil, pod(), n)
		scores = append(scores, fwk.NodeScore{Score: score})
	}
	p.NormalizeScore(ctx, nil, nil, scores)
	for i, want := range []int64{100, 50, 0} {
		if scores[i].Score != want {
			t.Errorf("node %d: %d, want %d", i, scores[i].Score, want)
		}
	}
	if score, _ := p.Score(ctx, nil, pod(v1.Toleration{Key: "c", Operator: v1.TolerationOpExists}), nodes[1]); score != 0 {
		t.Errorf("a tolerated preference counts %d", score)
	}
}

func TestHint(t *testing.T) {
	for name, c := range map[string]struct {
		old, new any
		want     fwk.QueueingHint
	}{
		"taint removed":   {node(noSchedule), node(), fwk.Queue},
		"taint added":     {node(), node(noSchedule), fwk.QueueSkip},
		"still tainted":   {node(noSchedule), node(noExecute), fwk.QueueSkip},
		"added tolerable": {nil, node(prefer), fwk.Queue},
	} {
		if got, _ := nodeTolerable(klog.Logger{}, pod(), c.old, c.new); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
