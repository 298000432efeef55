package nodedeclaredfeatures

import (
	"context"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/cache"
	"github.com/coracle-k8s/coracle/scheduler/framework"
)

func TestPlugin(t *testing.T) {
	const feature = "RestartAllContainersOnContainerExits"
	special := &v1.Pod{Spec: v1.PodSpec{Containers: []v1.Container{{
		RestartPolicyRules: []v1.ContainerRestartRule{{Action: v1.ContainerRestartRuleActionRestartAllContainers}},
	}}}}
	node := func(features ...string) *v1.Node {
		return &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: v1.NodeStatus{DeclaredFeatures: features}}
	}
	p := New()
	if _, st := p.PreFilter(context.Background(), framework.NewCycleState(), &v1.Pod{}, nil); !st.IsSkip() {
		t.Errorf("an ordinary pod: %v", st)
	}
	cs := framework.NewCycleState()
	if _, st := p.PreFilter(context.Background(), cs, special, nil); !st.IsSuccess() {
		t.Fatal(st)
	}
	for _, c := range []struct {
		node    *v1.Node
		message string
		hint    fwk.QueueingHint
	}{
		{node(), "node(s) didn't match Pod's required features", fwk.QueueSkip},
		{node("Unheard"), "node(s) didn't match Pod's required features", fwk.QueueSkip},
		{node(feature, "Unheard"), "", fwk.Queue},
	} {
		st := p.Filter(context.Background(), cs, special, cache.NewNodeInfo(c.node))
		if st.Message() != c.message || c.message != "" && st.Code() != fwk.UnschedulableAndUnresolvable {
			t.Errorf("a node with %v: %v", c.node.Status.DeclaredFeatures, st)
		}
		if hint, err := p.nodeFits(klog.Background(), special, nil, c.node); hint != c.hint || err != nil {
			t.Errorf("hint of a node with %v: %v, %v", c.node.Status.DeclaredFeatures, hint, err)
		}
	}
}
