package cache

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/gomega"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
)

func testNode(name string, images ...string) *v1.Node {
	n := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: v1.NodeStatus{Allocatable: v1.ResourceList{v1.ResourceCPU: resource.MustParse("4")}}}
	for _, i := range images {
		n.Status.Images = append(n.Status.Images, v1.ContainerImage{Names: []string{i}, SizeBytes: 100})
	}
	return n
}

func testPod(name, node, cpu string) *v1.Pod {
	return &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}, Spec: v1.PodSpec{NodeName: node, Containers: []v1.Container{{
		Ports:     []v1.ContainerPort{{HostPort: int32(8000 + len(name))}},
		Resources: v1.ResourceRequirements{Requests: v1.ResourceList{v1.ResourceCPU: resource.MustParse(cpu)}}}}}}
}

// summary holds what a plugin can see of a node, in an order that does not depend on history.
type summary struct {
	Pods              map[string]bool
	CPU, Non0CPU, Mem int64
	Ports             int
	Images            map[string]int
	Anti              int
}

func summarize(n fwk.NodeInfo) summary {
	s := summary{Pods: map[string]bool{}, Images: map[string]int{}, CPU: n.GetRequested().GetMilliCPU(), Non0CPU: n.GetNonZeroRequested().GetMilliCPU(),
		Mem: n.GetNonZeroRequested().GetMemory(), Ports: n.GetUsedPorts().Len(), Anti: len(n.GetPodsWithRequiredAntiAffinity())}
	for _, p := range n.GetPods() {
		s.Pods[p.GetPod().Name] = true
	}
	for name, i := range n.GetImageStates() {
		s.Images[name] = i.NumNodes
	}
	return s
}

// TestSnapshotIsWhatARebuildGives changes a cluster at random and compares a
// snapshot that was updated all along with one made at once, and with a cache
// that saw only the outcome.
func TestSnapshotIsWhatARebuildGives(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 0))
		c, incremental := New(), NewSnapshot()
		nodes, pods := map[string]*v1.Node{}, map[types.UID]*v1.Pod{}
		for step := range 200 {
			name := fmt.Sprintf("n%d", r.IntN(6))
			pod := testPod(fmt.Sprintf("p%d", r.IntN(30)), name, fmt.Sprintf("%dm", 10*r.IntN(5)))
			switch r.IntN(7) {
			case 0, 1:
				nodes[name] = testNode(name, []string{"a", "b", "c"}[:r.IntN(4)]...)
				c.SetNode(nodes[name])
			case 2:
				delete(nodes, name)
				c.RemoveNode(name)
			case 3:
				delete(pods, pod.UID)
				c.RemovePod(pod.UID)
			case 4:
				pi, _ := NewPodInfo(pod)
				if c.AssumePod(pi) == nil {
					pods[pod.UID] = pod
					if r.IntN(2) == 0 {
						c.ForgetPod(pod.UID)
						delete(pods, pod.UID)
					}
				}
			default:
				if r.IntN(2) == 0 {
					pod.Spec.Affinity = &v1.Affinity{PodAntiAffinity: &v1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []v1.PodAffinityTerm{{TopologyKey: "k"}}}}
				}
				// Affinity is immutable, so a pod that differs in it is another one.
				c.RemovePod(pod.UID)
				pods[pod.UID] = pod
				if err := c.SetPod(pod); err != nil {
					t.Fatal(err)
				}
			}
			if r.IntN(3) > 0 {
				continue
			}
			c.UpdateSnapshot(incremental)
			fresh := New()
			for _, n := range nodes {
				fresh.SetNode(n)
			}
			for _, p := range pods {
				_ = fresh.SetPod(p)
			}
			rebuilt := NewSnapshot()
			fresh.UpdateSnapshot(rebuilt)
			if diff := cmp.Diff(all(rebuilt), all(incremental)); diff != "" {
				t.Fatalf("seed %d step %d: %s", seed, step, diff)
			}
		}
	}
}

func all(s *Snapshot) map[string]summary {
	out := map[string]summary{}
	for i, n := range s.Nodes() {
		sum := summarize(n)
		for name := range sum.Images {
			if !s.HasImage(name) {
				sum.Images[name] = -1
			}
		}
		if Position(n) != i {
			sum.Anti = -1
		}
		out[n.Node().Name] = sum
	}
	anti, _ := s.HavePodsWithRequiredAntiAffinityList()
	out[fmt.Sprintf("%d nodes with anti-affinity", len(anti))] = summary{}
	return out
}

func TestConfirmationChangesNothing(t *testing.T) {
	g := NewWithT(t)
	c, s := New(), NewSnapshot()
	c.SetNode(testNode("n"))
	pi, _ := NewPodInfo(testPod("p", "", "1"))
	g.Expect(c.AssumePod(pi.Assumed("n"))).To(Succeed())
	g.Expect(c.AssumePod(pi.Assumed("n"))).NotTo(Succeed())
	g.Expect(c.IsAssumed("p")).To(BeTrue())
	c.UpdateSnapshot(s)
	before := s.Nodes()[0].GetGeneration()

	confirmed := testPod("p", "n", "1")
	confirmed.ResourceVersion = "2"
	g.Expect(c.SetPod(confirmed)).To(Succeed())
	running := confirmed.DeepCopy()
	running.Status.Phase = v1.PodRunning
	g.Expect(c.SetPod(running)).To(Succeed())
	c.UpdateSnapshot(s)
	g.Expect(s.Nodes()[0].GetGeneration()).To(Equal(before))
	g.Expect(c.IsAssumed("p")).To(BeFalse())
	c.ForgetPod("p") // too late: it is bound
	on, _ := c.NodeOf("p")
	g.Expect(on).To(Equal("n"))

	labelled := running.DeepCopy()
	labelled.Labels = map[string]string{"a": "b"}
	g.Expect(c.SetPod(labelled)).To(Succeed())
	c.UpdateSnapshot(s)
	g.Expect(s.Nodes()[0].GetGeneration()).NotTo(Equal(before))
}

func TestConfirmationElsewhereMoves(t *testing.T) {
	g := NewWithT(t)
	c, s := New(), NewSnapshot()
	c.SetNode(testNode("n"))
	c.SetNode(testNode("m"))
	pi, _ := NewPodInfo(testPod("p", "", "1"))
	g.Expect(c.AssumePod(pi.Assumed("n"))).To(Succeed())
	g.Expect(c.SetPod(testPod("p", "m", "1"))).To(Succeed())
	c.UpdateSnapshot(s)
	n, _ := s.Get("n")
	m, _ := s.Get("m")
	g.Expect(n.GetPods()).To(BeEmpty())
	g.Expect(m.GetPods()).To(HaveLen(1))
	_, err := s.Get("x")
	g.Expect(err).To(MatchError(fwk.ErrNotFound))
}

func TestSnapshotIsIndependent(t *testing.T) {
	g := NewWithT(t)
	n := NewNodeInfo(testNode("n"), testPod("a", "n", "1"))
	c := n.Snapshot()
	pi, _ := NewPodInfo(testPod("bb", "n", "2"))
	c.AddPodInfo(pi)
	g.Expect(c.RemovePod(klog.Logger{}, testPod("a", "n", "1"))).To(Succeed())
	g.Expect(c.RemovePod(klog.Logger{}, testPod("a", "n", "1"))).NotTo(Succeed())
	g.Expect(n.GetRequested().GetMilliCPU()).To(Equal(int64(1000)))
	g.Expect(c.GetRequested().GetMilliCPU()).To(Equal(int64(2000)))
	g.Expect(n.GetUsedPorts().CheckConflict("", "TCP", 8001)).To(BeTrue())
	g.Expect(c.GetUsedPorts().CheckConflict("", "TCP", 8001)).To(BeFalse())
	g.Expect(c.GetUsedPorts().CheckConflict("", "TCP", 8002)).To(BeTrue())
}

func TestRequests(t *testing.T) {
	always := v1.ContainerRestartPolicyAlways
	rl := func(cpu, mem string) v1.ResourceRequirements {
		l := v1.ResourceList{}
		if cpu != "" {
			l[v1.ResourceCPU] = resource.MustParse(cpu)
		}
		if mem != "" {
			l[v1.ResourceMemory] = resource.MustParse(mem)
		}
		return v1.ResourceRequirements{Requests: l}
	}
	for name, c := range map[string]struct {
		spec                       v1.PodSpec
		cpu, mem, non0CPU, non0Mem int64
	}{
		"nothing asked": {v1.PodSpec{Containers: []v1.Container{{}}}, 0, 0, DefaultMilliCPURequest, DefaultMemoryRequest},
		"sum":           {v1.PodSpec{Containers: []v1.Container{{Resources: rl("1", "1k")}, {Resources: rl("500m", "1k")}}}, 1500, 2000, 1500, 2000},
		"one lacks cpu": {v1.PodSpec{Containers: []v1.Container{{Resources: rl("1", "1k")}, {Resources: rl("", "1k")}}}, 1000, 2000, 1100, 2000},
		"init is a maximum": {v1.PodSpec{InitContainers: []v1.Container{{Resources: rl("3", "1k")}}, Containers: []v1.Container{{Resources: rl("1", "2k")}}},
			3000, 2000, 3000, 2000},
		"a sidecar adds": {v1.PodSpec{InitContainers: []v1.Container{{RestartPolicy: &always, Resources: rl("1", "1k")}, {Resources: rl("3", "1k")}}, Containers: []v1.Container{{Resources: rl("1", "2k")}}},
			4000, 3000, 4000, 3000},
		"overhead adds": {v1.PodSpec{Overhead: rl("100m", "").Requests, Containers: []v1.Container{{Resources: rl("1", "1k")}}}, 1100, 1000, 1100, 1000},
	} {
		pi, _ := NewPodInfo(&v1.Pod{Spec: c.spec})
		r := pi.CalculateResource()
		if got, want := [4]int64{r.Resource.GetMilliCPU(), r.Resource.GetMemory(), r.Non0CPU, r.Non0Mem}, [4]int64{c.cpu, c.mem, c.non0CPU, c.non0Mem}; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestInterleaveZones(t *testing.T) {
	var nodes []*v1.Node
	for _, n := range [][2]string{{"a1", "a"}, {"a2", "a"}, {"a3", "a"}, {"b1", "b"}, {"c1", ""}, {"b2", "b"}} {
		node := testNode(n[0])
		if n[1] != "" {
			node.Labels = map[string]string{v1.LabelTopologyZone: n[1]}
		}
		nodes = append(nodes, node)
	}
	if diff := cmp.Diff([]string{"c1", "a1", "b1", "a2", "b2", "a3"}, interleaveZones(nodes)); diff != "" {
		t.Error(diff)
	}
}
