package simulated

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllertest"
)

// world is an API server's stand-in with informers fed by hand.
type world struct {
	client client.Client
	cache  *informertest.FakeInformers
	clock  *clocktesting.FakeClock
	pods   *controllertest.FakeInformer
	nodes  *controllertest.FakeInformer
}

func newWorld(t testing.TB, objects ...client.Object) *world {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	w := &world{
		client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
			WithStatusSubresource(&corev1.Pod{}, &corev1.Node{}).Build(),
		cache: &informertest.FakeInformers{Scheme: scheme},
		clock: clocktesting.NewFakeClock(start),
	}
	var err error
	if w.pods, err = w.cache.FakeInformerFor(t.Context(), &corev1.Pod{}); err != nil {
		t.Fatal(err)
	}
	if w.nodes, err = w.cache.FakeInformerFor(t.Context(), &corev1.Node{}); err != nil {
		t.Fatal(err)
	}
	return w
}

// run starts nodes and stops them at the test's end.
func (w *world) run(t testing.TB, config Config) *Nodes {
	config.Client, config.Cache, config.Clock = w.client, w.cache, w.clock
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Start returned %v", err)
		}
	})
	return s
}

func TestNodesRegisterAndRenew(t *testing.T) {
	defer goleak.VerifyNone(t)
	t.Run("", func(t *testing.T) {
		g := NewWithT(t)
		w := newWorld(t)
		w.run(t, Config{Nodes: 3})
		g.Eventually(func(g Gomega) {
			var nodes corev1.NodeList
			g.Expect(w.client.List(t.Context(), &nodes)).To(Succeed())
			g.Expect(nodes.Items).To(HaveLen(3))
			g.Expect(healthy(&nodes.Items[0])).To(BeTrue())
			var leases coordinationv1.LeaseList
			g.Expect(w.client.List(t.Context(), &leases)).To(Succeed())
			g.Expect(leases.Items).To(HaveLen(3))
		}).Should(Succeed())

		for range 3 {
			g.Eventually(w.clock.HasWaiters).Should(BeTrue())
			w.clock.Step(5 * time.Second)
		}
		g.Eventually(func(g Gomega) {
			var leases coordinationv1.LeaseList
			g.Expect(w.client.List(t.Context(), &leases)).To(Succeed())
			for _, l := range leases.Items {
				g.Expect(l.Spec.RenewTime.Time).To(BeTemporally(">", start))
			}
		}).Should(Succeed())
	})
}

func TestSickNodeIsMadeReady(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	w.run(t, Config{Nodes: 1})
	var n corev1.Node
	key := client.ObjectKey{Name: "simulated-0"}
	g.Eventually(func() error { return w.client.Get(t.Context(), key, &n) }).Should(Succeed())
	for i := range n.Status.Conditions {
		n.Status.Conditions[i].Status = corev1.ConditionUnknown
	}
	g.Expect(w.client.Status().Update(t.Context(), &n)).To(Succeed())
	g.Eventually(func(g Gomega) {
		w.nodes.Update(&n, &n)
		var got corev1.Node
		g.Expect(w.client.Get(t.Context(), key, &got)).To(Succeed())
		g.Expect(healthy(&got)).To(BeTrue())
	}).Should(Succeed())
}

func TestPodRunsAndGoes(t *testing.T) {
	g := NewWithT(t)
	p, other := pod("a"), pod("b", func(p *corev1.Pod) { p.Spec.NodeName = "real" })
	p.Finalizers = []string{"test/keep"} // or the fake client deletes at once
	w := newWorld(t, p, other)
	w.run(t, Config{Nodes: 1})
	key := client.ObjectKeyFromObject(p)
	var got corev1.Pod
	g.Eventually(func(g Gomega) {
		g.Expect(w.client.Get(t.Context(), key, &got)).To(Succeed())
		w.pods.Add(got.DeepCopy()) // until the handler is there, adding reaches nobody
		g.Expect(got.Status.Phase).To(Equal(corev1.PodRunning))
	}).Should(Succeed())
	w.pods.Add(other)
	g.Expect(w.client.Get(t.Context(), client.ObjectKeyFromObject(other), &got)).To(Succeed())
	g.Expect(got.Status.Phase).To(Equal(corev1.PodPending), "another node's pod is left alone")

	g.Expect(w.client.Delete(t.Context(), p)).To(Succeed())
	g.Expect(w.client.Get(t.Context(), key, &got)).To(Succeed())
	got.Finalizers = nil
	deleting := got.DeepCopy()
	g.Expect(w.client.Update(t.Context(), &got)).To(Succeed())
	w.pods.Update(p, deleting)
	g.Eventually(func() bool {
		return apierrors.IsNotFound(w.client.Get(t.Context(), key, &got))
	}).Should(BeTrue())
}

// counting answers writes at once.
type counting struct {
	client.Client
	writes atomic.Int64
}

func (c *counting) Status() client.SubResourceWriter { return countingStatus{c} }
func (c *counting) Create(context.Context, client.Object, ...client.CreateOption) error {
	return nil
}
func (c *counting) Update(context.Context, client.Object, ...client.UpdateOption) error { return nil }

type countingStatus struct{ *counting }

func (c countingStatus) Create(context.Context, client.Object, client.Object, ...client.SubResourceCreateOption) error {
	return nil
}
func (c countingStatus) Update(context.Context, client.Object, ...client.SubResourceUpdateOption) error {
	c.writes.Add(1)
	return nil
}
func (c countingStatus) Patch(context.Context, client.Object, client.Patch, ...client.SubResourcePatchOption) error {
	return nil
}
func (c countingStatus) Apply(context.Context, runtime.ApplyConfiguration, ...client.SubResourceApplyOption) error {
	return nil
}

// BenchmarkPods measures what a pod costs here, without the API server.
func BenchmarkPods(b *testing.B) {
	w := newWorld(b)
	c := &counting{Client: w.client}
	w.client = c
	w.run(b, Config{Nodes: 1000})
	probe := pod("probe")
	for c.writes.Load() == 0 {
		w.pods.Add(probe)
	}
	base := c.writes.Load()
	pods := make([]*corev1.Pod, b.N)
	for i := range pods {
		pods[i] = pod(fmt.Sprintf("p%d", i), func(p *corev1.Pod) { p.Spec.NodeName = fmt.Sprintf("simulated-%d", i%1000) })
	}
	b.ResetTimer()
	for _, p := range pods {
		w.pods.Add(p)
	}
	for c.writes.Load()-base < int64(b.N) {
		time.Sleep(time.Millisecond)
	}
}
