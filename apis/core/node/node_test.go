package node_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/coracle-k8s/coracle/apis/core/node"
)

func TestIsReady(t *testing.T) {
	for _, c := range []struct {
		conditions []corev1.NodeCondition
		want       bool
	}{
		{nil, false},
		{[]corev1.NodeCondition{{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionTrue}}, false},
		{[]corev1.NodeCondition{{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse}, {Type: corev1.NodeReady, Status: corev1.ConditionTrue}}, true},
		{[]corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown}}, false},
	} {
		if got := node.IsReady(&corev1.Node{Status: corev1.NodeStatus{Conditions: c.conditions}}); got != c.want {
			t.Errorf("%v: got %v", c.conditions, got)
		}
	}
}
