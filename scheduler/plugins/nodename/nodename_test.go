package nodename

import (
	"context"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/coracle-k8s/coracle/scheduler/cache"
)

func TestFilter(t *testing.T) {
	node := cache.NewNodeInfo(&v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}})
	for wanted, message := range map[string]string{"": "", "n": "", "m": "node(s) didn't match the requested node name"} {
		if got := New().Filter(context.Background(), nil, &v1.Pod{Spec: v1.PodSpec{NodeName: wanted}}, node).Message(); got != message {
			t.Errorf("%q: %q", wanted, got)
		}
	}
}
