package nodeunschedulable

import (
	"context"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/cache"
)

func TestFilter(t *testing.T) {
	cordoned, open := &v1.Node{Spec: v1.NodeSpec{Unschedulable: true}}, &v1.Node{}
	daemon := &v1.Pod{Spec: v1.PodSpec{Tolerations: []v1.Toleration{{Key: v1.TaintNodeUnschedulable, Operator: v1.TolerationOpExists, Effect: v1.TaintEffectNoSchedule}}}}
	for name, c := range map[string]struct {
		node *v1.Node
		pod  *v1.Pod
		want string
	}{
		"open":             {open, &v1.Pod{}, ""},
		"cordoned":         {cordoned, &v1.Pod{}, "node(s) were unschedulable"},
		"cordoned, daemon": {cordoned, daemon, ""},
	} {
		if got := New().Filter(context.Background(), nil, c.pod, cache.NewNodeInfo(c.node)).Message(); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestHints(t *testing.T) {
	cordoned, open := &v1.Node{Spec: v1.NodeSpec{Unschedulable: true}}, &v1.Node{}
	for name, c := range map[string]struct {
		old, new any
		want     fwk.QueueingHint
	}{
		"uncordoned":  {cordoned, open, fwk.Queue},
		"cordoned":    {open, cordoned, fwk.QueueSkip},
		"open before": {open, open, fwk.QueueSkip},
		"added":       {nil, open, fwk.Queue},
	} {
		if got, _ := uncordoned(klog.Logger{}, &v1.Pod{}, c.old, c.new); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
