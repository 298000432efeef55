package imagelocality

import (
	"context"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/coracle-k8s/coracle/scheduler/cache"
	"github.com/coracle-k8s/coracle/scheduler/framework"
)

func TestScore(t *testing.T) {
	const mb = 1 << 20
	c, snap := cache.New(), cache.NewSnapshot()
	for name, images := range map[string][]v1.ContainerImage{
		"a": {{Names: []string{"registry/big:latest"}, SizeBytes: 600 * mb}, {Names: []string{"small:1"}, SizeBytes: 10 * mb}},
		"b": {{Names: []string{"registry/big:latest"}, SizeBytes: 600 * mb}},
		"c": nil,
	} {
		c.SetNode(&v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: v1.NodeStatus{Images: images}})
	}
	c.UpdateSnapshot(snap)
	pod := func(images ...string) *v1.Pod {
		p := &v1.Pod{}
		for _, i := range images {
			p.Spec.Containers = append(p.Spec.Containers, v1.Container{Image: i})
		}
		return p
	}
	for name, c := range map[string]struct {
		pod  *v1.Pod
		want map[string]int64
	}{
		// Two of three nodes have it: 400 MB count. (400-23)/(1000-23) = 38 %.
		"without a tag":     {pod("registry/big"), map[string]int64{"a": 38, "b": 38, "c": 0}},
		"too small":         {pod("small:1"), map[string]int64{"a": 0, "b": 0, "c": 0}},
		"of two containers": {pod("registry/big:latest", "small:1"), map[string]int64{"a": 19, "b": 19, "c": 0}},
	} {
		p, cs := New(snap), framework.NewCycleState()
		if s := p.PreScore(context.Background(), cs, c.pod, nil); !s.IsSuccess() {
			t.Fatalf("%s: PreScore said %v", name, s.Code())
		}
		for _, n := range snap.Nodes() {
			if got, _ := p.Score(context.Background(), cs, c.pod, n); got != c.want[n.Node().Name] {
				t.Errorf("%s node %s: %d, want %d", name, n.Node().Name, got, c.want[n.Node().Name])
			}
		}
	}
	if !New(snap).PreScore(context.Background(), framework.NewCycleState(), pod("registry:5000/nobody/has"), nil).IsSkip() {
		t.Error("an image that no node has is not skipped")
	}
}

func TestNormalize(t *testing.T) {
	for in, want := range map[string]string{"a": "a:latest", "a:1": "a:1", "r:5000/a": "r:5000/a:latest", "r:5000/a:1": "r:5000/a:1"} {
		if got := normalize(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}
