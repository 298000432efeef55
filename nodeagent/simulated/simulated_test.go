package simulated

import (
	"context"
	"fmt"
	"net/netip"
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
	toolscache "k8s.io/client-go/tools/cache"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/nodeagent/agenttest"
)

// world is an API server's stand-in and a clock that tests move.
type world struct {
	api   *agenttest.API
	clock *clocktesting.FakeClock
}

// run starts nodes, after the objects that there were before, and stops them at
// the test's end.
func run(t *testing.T, config Config, before ...client.Object) *world {
	ctx, cancel := context.WithCancel(context.Background())
	w := &world{api: agenttest.NewAPI(ctx, before...), clock: clocktesting.NewFakeClock(start)}
	config.Client, config.Clock = w.api, w.clock
	config.Cache = slow{w.api}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- s.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Start returned %v", err)
		}
		goleak.VerifyNone(t)
	})
	return w
}

func TestNodesRegisterAndRenew(t *testing.T) {
	g := NewWithT(t)
	w := run(t, Config{Nodes: 3})
	g.Eventually(func(g Gomega) {
		var nodes corev1.NodeList
		g.Expect(w.api.List(t.Context(), &nodes)).To(Succeed())
		g.Expect(nodes.Items).To(HaveLen(3))
		g.Expect(healthy(&nodes.Items[0])).To(BeTrue())
		var leases coordinationv1.LeaseList
		g.Expect(w.api.List(t.Context(), &leases)).To(Succeed())
		g.Expect(leases.Items).To(HaveLen(3))
	}).Should(Succeed())
	g.Eventually(func(g Gomega) {
		w.clock.Step(time.Second)
		var leases coordinationv1.LeaseList
		g.Expect(w.api.List(t.Context(), &leases)).To(Succeed())
		for _, l := range leases.Items {
			g.Expect(l.Spec.RenewTime.Time).To(BeTemporally(">", start))
		}
	}).Should(Succeed())
}

func TestSickNodeIsMadeReady(t *testing.T) {
	g := NewWithT(t)
	w := run(t, Config{Nodes: 1})
	var n corev1.Node
	key := client.ObjectKey{Name: "simulated-0"}
	g.Eventually(func() error { return w.api.Get(t.Context(), key, &n) }).Should(Succeed())
	g.Eventually(func(g Gomega) {
		for i := range n.Status.Conditions {
			n.Status.Conditions[i].Status = corev1.ConditionUnknown
		}
		g.Expect(w.api.Status().Update(t.Context(), &n)).To(Succeed())
	}).Should(Succeed())
	g.Eventually(func(g Gomega) {
		g.Expect(w.api.Get(t.Context(), key, &n)).To(Succeed())
		g.Expect(healthy(&n)).To(BeTrue())
	}).Should(Succeed())
}

func TestPodRunsAndGoes(t *testing.T) {
	g := NewWithT(t)
	w := run(t, Config{Nodes: 1})
	p, other := pod("a"), pod("b", func(p *corev1.Pod) { p.Spec.NodeName = "real" })
	g.Expect(w.api.Create(t.Context(), p)).To(Succeed())
	g.Expect(w.api.Create(t.Context(), other)).To(Succeed())
	var got corev1.Pod
	g.Eventually(func(g Gomega) {
		g.Expect(w.api.Get(t.Context(), client.ObjectKeyFromObject(p), &got)).To(Succeed())
		g.Expect(got.Status.Phase).To(Equal(corev1.PodRunning))
	}).Should(Succeed())
	g.Expect(w.api.Delete(t.Context(), p)).To(Succeed())
	g.Eventually(func() bool {
		return apierrors.IsNotFound(w.api.Get(t.Context(), client.ObjectKeyFromObject(p), &got))
	}).Should(BeTrue())
	g.Expect(w.api.Get(t.Context(), client.ObjectKeyFromObject(other), &got)).To(Succeed())
	g.Expect(got.Status.Phase).NotTo(Equal(corev1.PodRunning), "another node's pod is left alone")
}

// A pod that a finalizer keeps gets a final status, and stays.
func TestPodThatIsKeptEnds(t *testing.T) {
	g := NewWithT(t)
	w := run(t, Config{Nodes: 1})
	p := pod("kept", func(p *corev1.Pod) { p.Finalizers = []string{"example.com/keep"} })
	g.Expect(w.api.Create(t.Context(), p)).To(Succeed())
	phase := func() corev1.PodPhase {
		g.Expect(w.api.Get(t.Context(), client.ObjectKeyFromObject(p), p)).To(Succeed())
		return p.Status.Phase
	}
	g.Eventually(phase).Should(Equal(corev1.PodRunning))
	g.Expect(w.api.Delete(t.Context(), p)).To(Succeed())
	g.Eventually(phase).Should(Equal(corev1.PodFailed))
	g.Expect(p.Status.ContainerStatuses[0].State.Terminated.ExitCode).To(BeEquivalentTo(143))
	g.Expect(p.Status.Conditions).To(ContainElement(And(HaveField("Type", corev1.PodReady), HaveField("Status", corev1.ConditionFalse))))
	g.Eventually(func() error { // the node may write the pod once more meanwhile
		g.Expect(w.api.Get(t.Context(), client.ObjectKeyFromObject(p), p)).To(Succeed())
		p.Finalizers = nil
		return w.api.Update(t.Context(), p)
	}).Should(Succeed())
	g.Eventually(func() bool { return apierrors.IsNotFound(w.api.Get(t.Context(), client.ObjectKeyFromObject(p), p)) }).Should(BeTrue())
}

// slow delays each event.
type slow struct{ cache.Cache }

type slowInformer struct{ cache.Informer }

type slowHandler struct {
	toolscache.ResourceEventHandler
}

func (s slow) GetInformer(ctx context.Context, o client.Object, opts ...cache.InformerGetOption) (cache.Informer, error) {
	i, err := s.Cache.GetInformer(ctx, o, opts...)
	return slowInformer{i}, err
}

func (s slowInformer) AddEventHandler(h toolscache.ResourceEventHandler) (toolscache.ResourceEventHandlerRegistration, error) {
	return s.Informer.AddEventHandler(slowHandler{h})
}

func (s slowHandler) OnAdd(o any, initially bool) {
	<-time.After(time.Millisecond)
	s.ResourceEventHandler.OnAdd(o, initially)
}

// A pod that waits for its address is seen before some that have theirs.
func TestNoPodGetsTheAddressOfOneThatWas(t *testing.T) {
	g := NewWithT(t)
	var before []client.Object
	var cidr netip.Prefix
	config := Config{Nodes: 1, PodCIDR: func(string) netip.Prefix { return cidr }}
	cidr = netip.MustParsePrefix("10.9.0.0/16")
	const each = 50
	for i := range each {
		before = append(before, pod(fmt.Sprintf("new-%d", i)), pod(fmt.Sprintf("was-%d", i), func(p *corev1.Pod) {
			p.Status.PodIP = nth(cidr, i).String()
		}))
	}
	w := run(t, config, before...)
	g.Eventually(func(g Gomega) {
		var pods corev1.PodList
		g.Expect(w.api.List(t.Context(), &pods)).To(Succeed())
		users := map[string]string{}
		for _, p := range pods.Items {
			g.Expect(p.Status.Phase).To(Equal(corev1.PodRunning))
			g.Expect(users).NotTo(HaveKey(p.Status.PodIP), "%s has the address of %s", p.Name, users[p.Status.PodIP])
			users[p.Status.PodIP] = p.Name
		}
		for i := range each {
			g.Expect(users[nth(cidr, i).String()]).To(Equal(fmt.Sprintf("was-%d", i)))
		}
		g.Expect(users).To(HaveLen(2 * each))
	}, 20*time.Second).Should(Succeed())
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
	informers := &informertest.FakeInformers{Scheme: clientgoscheme.Scheme}
	informer, err := informers.FakeInformerFor(b.Context(), &corev1.Pod{})
	if err != nil {
		b.Fatal(err)
	}
	c := &counting{}
	s, err := New(Config{Client: c, Cache: informers, Nodes: 1000})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- s.Start(ctx) }()
	defer func() { cancel(); <-done }()
	probe := pod("probe")
	for c.writes.Load() == 0 {
		informer.Add(probe)
	}
	base := c.writes.Load()
	pods := make([]*corev1.Pod, b.N)
	for i := range pods {
		pods[i] = pod(fmt.Sprintf("p%d", i), func(p *corev1.Pod) { p.Spec.NodeName = fmt.Sprintf("simulated-%d", i%1000) })
	}
	b.ResetTimer()
	for _, p := range pods {
		informer.Add(p)
	}
	for c.writes.Load()-base < int64(b.N) {
		time.Sleep(time.Millisecond) //nolint:forbidigo // between looks, which the benchmark bounds
	}
}
