package scheduler

import (
	"context"
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/cache"
	"github.com/coracle-k8s/coracle/scheduler/framework"
)

func TestEnough(t *testing.T) {
	for _, c := range []struct{ nodes, percentage, want int }{
		{10, 0, 10}, {99, 50, 99}, {100, 0, 100}, {1000, 0, 420}, {5000, 0, 500}, {6000, 0, 300}, {1000, 20, 200}, {200, 20, 100}, {1000, 100, 1000},
	} {
		if got := enough(c.nodes, c.percentage); got != c.want {
			t.Errorf("%d nodes, %d %%: %d, want %d", c.nodes, c.percentage, got, c.want)
		}
	}
}

func TestSearchTakesTurnsAndStopsEarly(t *testing.T) {
	g := NewWithT(t)
	var nodes []fwk.NodeInfo
	for i := range 400 {
		nodes = append(nodes, cache.NewNodeInfo(node(fmt.Sprint(i), "1")))
	}
	s := newSearch(1, 25)
	judged := map[string]int{}
	for range 4 {
		d := framework.NewDiagnosis()
		got, err := s.filter(context.Background(), nodes, &d, func(n fwk.NodeInfo) *fwk.Status {
			judged[n.Node().Name]++
			return nil
		})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(got).To(HaveLen(100))
	}
	g.Expect(judged).To(And(HaveLen(400), HaveEach(1)))
}

func TestBestBreaksTiesAtRandomButReproducibly(t *testing.T) {
	g := NewWithT(t)
	nodes := []fwk.NodeInfo{cache.NewNodeInfo(node("a", "1")), cache.NewNodeInfo(node("b", "1")), cache.NewNodeInfo(node("c", "1"))}
	picks := func(seed uint64) (list string) {
		s := newSearch(seed, 0)
		for range 60 {
			list += s.best(nodes, []int64{7, 3, 7}).Name
		}
		return list
	}
	first := picks(1)
	g.Expect(strings.Count(first, "a")).To(BeNumerically("~", 30, 12))
	g.Expect(first).NotTo(ContainSubstring("b"))
	g.Expect(picks(1)).To(Equal(first))
	g.Expect(picks(2)).NotTo(Equal(first))
}

func TestTruncate(t *testing.T) {
	g := NewWithT(t)
	g.Expect(truncate("short")).To(Equal("short"))
	long := truncate(strings.Repeat("x", 2000))
	g.Expect(long).To(HaveLen(1024))
	g.Expect(long).To(HaveSuffix("x ..."))
}

func TestDefaultSelector(t *testing.T) {
	g := NewWithT(t)
	o := newObjects()
	pod := benchPod(1)
	g.Expect(o.DefaultSelector(pod).Empty()).To(BeTrue())
	svc := &v1.Service{Spec: v1.ServiceSpec{Selector: map[string]string{"app": "web"}}}
	svc.Namespace, svc.Name = "default", "s"
	o.set(svc)
	g.Expect(o.DefaultSelector(pod).String()).To(Equal("app=web"))
	own(pod)
	o.set(benchReplicaSet())
	g.Expect(o.DefaultSelector(pod).String()).To(ContainSubstring("pod-template-hash=6d4cf56db6"))
	o.remove(svc)
	o.remove(benchReplicaSet())
	g.Expect(o.DefaultSelector(pod).Empty()).To(BeTrue())
}
