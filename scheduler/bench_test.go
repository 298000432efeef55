package scheduler

import (
	"context"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/coracle-k8s/coracle/scheduler/framework"
)

// BenchmarkCycle is one scheduling cycle on 1,000 nodes without the API: queue,
// snapshot, filters, scores, assuming, confirming.
func BenchmarkCycle(b *testing.B) {
	anti := &v1.Affinity{PodAntiAffinity: &v1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []v1.PodAffinityTerm{{
		TopologyKey: v1.LabelHostname, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"group": "anti"}}}}}}
	for _, bench := range []struct {
		name  string
		zones int
		shape func(i int, p *v1.Pod)
	}{
		{"plain", 0, func(int, *v1.Pod) {}},
		{"replicaset", 0, func(_ int, p *v1.Pod) { own(p) }},
		{"replicaset-3-zones", 3, func(_ int, p *v1.Pod) { own(p) }},
		{"hard-spread-3-zones", 3, func(_ int, p *v1.Pod) {
			p.Spec.TopologySpreadConstraints = []v1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: v1.LabelTopologyZone,
				WhenUnsatisfiable: v1.DoNotSchedule, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}}}
		}},
		{"anti-affinity-hostname", 0, func(i int, p *v1.Pod) {
			if i < 900 { // each takes a node for itself
				p.Labels["group"] = "anti"
				p.Spec.Affinity = anti
			}
		}},
	} {
		b.Run(bench.name, func(b *testing.B) { benchmarkCycle(b, bench.zones, bench.shape) })
	}
}

// BenchmarkRefused is the cycle of a pod that no node has room for.
func BenchmarkRefused(b *testing.B) {
	ctx := context.Background()
	s := benchScheduler(b)
	for n := range 1000 {
		s.cache.SetNode(benchNode(n, 0))
		for i := range 5 {
			p := benchPod(n*5 + i)
			p.Spec.NodeName = fmt.Sprintf("node-%d", n)
			p.Spec.Containers[0].Resources.Requests[v1.ResourceCPU] = resource.MustParse("6")
			if err := s.cache.SetPod(p); err != nil {
				b.Fatal(err)
			}
		}
	}
	pod := benchPod(9999)
	pod.Spec.Containers[0].Resources.Requests[v1.ResourceCPU] = resource.MustParse("6")
	for i := 0; b.Loop(); i++ {
		pod := pod.DeepCopy()
		pod.UID = types.UID(fmt.Sprint(i))
		s.queue.Add(ctx, pod)
		p, _ := s.queue.Pop()
		s.scheduleOne(ctx, p)
		s.queue.Delete(pod)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pods/s")
}

func own(p *v1.Pod) {
	yes := true
	p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web", UID: "rs", Controller: &yes}}
}

func benchmarkCycle(b *testing.B, zones int, shape func(int, *v1.Pod)) {
	const nodes, batch = 1000, 5000
	ctx := context.Background()
	pods := make([]*v1.Pod, batch)
	for i := range pods {
		pods[i] = benchPod(i)
		shape(i, pods[i])
	}
	var s *Scheduler
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%batch == 0 { // start over before nodes fill up
			b.StopTimer()
			s = benchScheduler(b)
			for n := range nodes {
				s.cache.SetNode(benchNode(n, zones))
			}
			b.StartTimer()
		}
		pod := pods[i%batch]
		s.queue.Add(ctx, pod)
		p, _ := s.queue.Pop()
		state := framework.NewCycleState()
		node, err := s.findNode(ctx, state, p.GetPod())
		if err != nil {
			b.Fatal(err)
		}
		assumed := p.Assumed(node)
		if err := s.cache.AssumePod(assumed); err != nil {
			b.Fatal(err)
		}
		s.podChanged(ctx, assumed.GetPod(), pending, pod, assigned)
		s.queue.Done(pod.UID)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pods/s")
}

func benchScheduler(b *testing.B) *Scheduler {
	s, err := New(Config{Client: fake.NewFakeClient(), Cache: &informertest.FakeInformers{}, Recorder: &events.FakeRecorder{}, Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	s.objects.set(benchReplicaSet())
	s.objects.set(&v1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: v1.ServiceSpec{Selector: map[string]string{"app": "other"}}})
	return s
}

func benchReplicaSet() *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{UID: "rs"}, Spec: appsv1.ReplicaSetSpec{
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web", "pod-template-hash": "6d4cf56db6"}}}}
}

func benchNode(i, zones int) *v1.Node {
	name := fmt.Sprintf("node-%d", i)
	n := &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1.LabelHostname: name, v1.LabelOSStable: "linux", v1.LabelArchStable: "amd64"}},
		Status: v1.NodeStatus{Allocatable: v1.ResourceList{
			v1.ResourceCPU: resource.MustParse("32"), v1.ResourceMemory: resource.MustParse("256Gi"), v1.ResourcePods: resource.MustParse("110")}},
	}
	if zones > 0 {
		n.Labels[v1.LabelTopologyZone] = fmt.Sprintf("zone-%d", i%zones)
	}
	return n
}

func benchPod(i int) *v1.Pod {
	return &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("web-%d", i), UID: types.UID(fmt.Sprintf("uid-%d", i)),
			Labels: map[string]string{"app": "web", "pod-template-hash": "6d4cf56db6"}},
		Spec: v1.PodSpec{SchedulerName: DefaultName, Containers: []v1.Container{{Name: "c", Image: "web:1", Resources: v1.ResourceRequirements{
			Requests: v1.ResourceList{v1.ResourceCPU: resource.MustParse("100m"), v1.ResourceMemory: resource.MustParse("128Mi")}}}}},
	}
}
