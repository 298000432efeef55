package scheduler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"
	ctrlcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/coracle-k8s/coracle/scheduler/queue"
)

// world is a fake API with a scheduler running on it.
type world struct {
	*WithT
	ctx       context.Context
	client    client.WithWatch
	scheduler *Scheduler
	events    *recorder
	registry  *prometheus.Registry
	// failBind, if set, is asked before each binding.
	failBind func(pod string) error
}

func start(t *testing.T, objs ...client.Object) *world {
	w := &world{WithT: NewWithT(t), events: &recorder{}, registry: prometheus.NewRegistry()}
	ctx, cancel := context.WithCancel(context.Background())
	w.ctx = ctx
	w.client = fake.NewClientBuilder().WithScheme(scheme.Scheme).WithStatusSubresource(&v1.Pod{}, &resourcev1.ResourceClaim{}).WithObjects(objs...).
		WithInterceptorFuncs(interceptor.Funcs{SubResourceCreate: w.bind}).Build()
	api := &informers{client: w.client, ctx: ctx, watching: make(chan struct{}, 100)}
	s, err := New(Config{Client: w.client, Cache: api,
		Recorder: w.events, Seed: 7, Metrics: w.registry})
	w.Expect(err).NotTo(HaveOccurred())
	w.scheduler = s
	done := make(chan error, 1)
	go func() { done <- s.Start(ctx) }()
	// The fake API forgets what happens between an informer's list and its watch.
	for range s.handlers(ctx) {
		<-api.watching
	}
	t.Cleanup(func() {
		cancel()
		w.Expect(<-done).To(Succeed())
		goleak.VerifyNone(t, goleak.IgnoreCurrent())
	})
	return w
}

// bind does the API server's work for a binding.
func (w *world) bind(ctx context.Context, c client.Client, sub string, obj, subObj client.Object, _ ...client.SubResourceCreateOption) error {
	b, ok := subObj.(*v1.Binding)
	if sub != "binding" || !ok {
		return fmt.Errorf("unexpected subresource %s", sub)
	}
	if w.failBind != nil {
		if err := w.failBind(b.Name); err != nil {
			return err
		}
	}
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		var pod v1.Pod
		if err := c.Get(ctx, client.ObjectKeyFromObject(obj), &pod); err != nil {
			return err
		}
		pod.Spec.NodeName = b.Target.Name
		return c.Update(ctx, &pod)
	})
}

func (w *world) create(objs ...client.Object) {
	for _, o := range objs {
		w.Expect(w.client.Create(w.ctx, o)).To(Succeed())
	}
}

func (w *world) pod(name string) *v1.Pod {
	var p v1.Pod
	w.Expect(w.client.Get(w.ctx, types.NamespacedName{Namespace: "default", Name: name}, &p)).To(Succeed())
	return &p
}

func (w *world) eventuallyOn(pod, node string) {
	w.Eventually(func() string { return w.pod(pod).Spec.NodeName }).Should(Equal(node))
}

func (w *world) eventuallyPending(pod, reason, message string) {
	w.Eventually(func() []string {
		c := findCondition(w.pod(pod))
		if c == nil {
			return nil
		}
		return []string{string(c.Status), c.Reason, c.Message}
	}).Should(Equal([]string{"False", reason, message}))
}

func TestSchedulesAndTellsWhy(t *testing.T) {
	w := start(t, node("a", "1"), node("b", "2"))
	w.create(pod("p", "1500m"))
	w.eventuallyOn("p", "b")
	w.Eventually(w.events.list).Should(ContainElement("Normal Scheduled Binding p: Successfully assigned default/p to b"))

	w.create(pod("q", "1500m"))
	w.eventuallyPending("q", "Unschedulable", "0/2 nodes are available: 2 Insufficient cpu."+noVictims(2, 1))
	w.Eventually(w.events.list).Should(ContainElement(HavePrefix("Warning FailedScheduling Scheduling q: 0/2 nodes are available: 2 Insufficient cpu.")))
	d, ok := w.scheduler.Explain(types.NamespacedName{Namespace: "default", Name: "q"})
	w.Expect(ok).To(BeTrue())
	w.Expect(d.Place).To(Equal(queue.Unschedulable))
	w.Expect(d.Plugins).To(Equal([]string{"NodeResourcesFit"}))
	w.Expect(d.Reasons).To(HaveLen(2)) // one node is too small for good, the other for now
	w.Expect(d.Reasons[0].Names).To(Equal([]string{"a"}))

	w.Expect(w.client.Delete(w.ctx, w.pod("p"))).To(Succeed())
	w.eventuallyOn("q", "b")
	_, ok = w.scheduler.Explain(types.NamespacedName{Namespace: "default", Name: "q"})
	w.Expect(ok).To(BeFalse())
	families, err := w.registry.Gather()
	w.Expect(err).NotTo(HaveOccurred())
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	w.Expect(names).To(ContainElements("scheduler_schedule_attempts_total", "scheduler_pending_pods", "scheduler_cache_size"))
}

func noVictims(nodes, helpless int) string {
	return fmt.Sprintf(" preemption: 0/%d nodes are available: %d No preemption victims found for incoming pod, %d Preemption is not helpful for scheduling.", nodes, nodes-helpless, helpless)
}

func TestReasonsAreAggregated(t *testing.T) {
	tainted := func(name string) *v1.Node {
		n := node(name, "8")
		n.Spec.Taints = []v1.Taint{{Key: "gpu", Effect: v1.TaintEffectNoSchedule}}
		return n
	}
	cordoned := node("d", "8")
	cordoned.Spec.Unschedulable = true
	w := start(t, node("a", "1"), tainted("b"), tainted("c"), cordoned)
	w.create(pod("p", "2"))
	w.eventuallyPending("p", "Unschedulable",
		"0/4 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable, 2 node(s) had untolerated taint(s). preemption: 0/4 nodes are available: 4 Preemption is not helpful for scheduling.")
}

func TestWaitsForTheFirstNode(t *testing.T) {
	w := start(t)
	w.create(pod("p", "1"))
	w.eventuallyPending("p", "Unschedulable", "no nodes available to schedule pods")
	w.create(node("a", "2"))
	w.eventuallyOn("p", "a")
}

func TestUncordonWakesThePod(t *testing.T) {
	n := node("a", "2")
	n.Spec.Unschedulable = true
	w := start(t, n)
	w.create(pod("p", "1"))
	w.eventuallyPending("p", "Unschedulable", "0/1 nodes are available: 1 node(s) were unschedulable. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.")
	w.Expect(w.client.Get(w.ctx, client.ObjectKeyFromObject(n), n)).To(Succeed())
	n.Spec.Unschedulable = false
	w.Expect(w.client.Update(w.ctx, n)).To(Succeed())
	w.eventuallyOn("p", "a")
}

func TestSchedulingGates(t *testing.T) {
	w := start(t, node("a", "2"))
	p := pod("p", "1")
	p.Spec.SchedulingGates = []v1.PodSchedulingGate{{Name: "example.com/quota"}}
	w.create(p)
	w.eventuallyPending("p", "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")
	d, ok := w.scheduler.Explain(types.NamespacedName{Namespace: "default", Name: "p"})
	w.Expect(ok).To(BeTrue())
	w.Expect(d.Place).To(Equal(queue.Gated))
	w.Expect(d.Gate).To(Equal("waiting for scheduling gates: [example.com/quota]"))
	p = w.pod("p")
	p.Spec.SchedulingGates = nil
	w.Expect(w.client.Update(w.ctx, p)).To(Succeed())
	w.eventuallyOn("p", "a")
}

func TestDaemonPodsNameTheirNode(t *testing.T) {
	full := node("a", "1")
	w := start(t, full, node("b", "4"))
	p := pod("p", "2")
	p.Spec.Affinity = &v1.Affinity{NodeAffinity: &v1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &v1.NodeSelector{
		NodeSelectorTerms: []v1.NodeSelectorTerm{{MatchFields: []v1.NodeSelectorRequirement{{Key: "metadata.name", Operator: v1.NodeSelectorOpIn, Values: []string{"a"}}}}}}}}
	w.create(p)
	w.eventuallyPending("p", "Unschedulable",
		"0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't satisfy plugin(s) [NodeAffinity]. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.")
}

func TestIgnoresPodsOfOtherSchedulers(t *testing.T) {
	w := start(t, node("a", "2"))
	other := pod("other", "1")
	other.Spec.SchedulerName = "volcano"
	w.create(other, pod("p", "1"))
	w.eventuallyOn("p", "a")
	w.Consistently(func() string { return w.pod("other").Spec.NodeName }, 50*time.Millisecond).Should(BeEmpty())
}

func TestABindingThatFailsIsRetried(t *testing.T) {
	var mu sync.Mutex
	failures := 1
	w := start(t, node("a", "2"))
	w.failBind = func(string) error {
		mu.Lock()
		defer mu.Unlock()
		if failures > 0 {
			failures--
			return errors.New("the API is on fire")
		}
		return nil
	}
	w.create(pod("p", "2"))
	w.Eventually(w.events.list).Should(ContainElement(HavePrefix("Warning FailedScheduling Scheduling p: running Bind plugin \"DefaultBinder\": binding pod default/p to node a: the API is on fire")))
	w.Eventually(func() string { return w.pod("p").Spec.NodeName }, 5*time.Second).Should(Equal("a"))
}

func TestAPodDeletedWhileItIsBound(t *testing.T) {
	w := start(t, node("a", "2"))
	w.failBind = func(name string) error {
		if name == "p" {
			return apierrors.NewNotFound(v1.Resource("pods"), name)
		}
		return nil
	}
	w.create(pod("p", "2"))
	w.create(pod("q", "2"))
	w.eventuallyOn("q", "a")
	w.Expect(w.events.list()).NotTo(ContainElement(ContainSubstring(" p: ")))
}

func TestPreemptsLowerPriority(t *testing.T) {
	w := start(t, node("a", "2"))
	w.create(prio(pod("low", "2"), 1))
	w.eventuallyOn("low", "a")
	w.create(prio(pod("high", "1500m"), 10))
	w.eventuallyOn("high", "a")
	w.Expect(w.events.list()).To(ContainElements(
		HavePrefix("Normal Preempted Preempting low: Preempted by pod "+string(w.pod("high").UID)+" on node a"),
		"Warning FailedScheduling Scheduling high: 0/1 nodes are available: 1 Insufficient cpu. preemption: found a potential placement for pod on node a, preempting 1 victims",
	))
}

func TestManyPods(t *testing.T) {
	w := start(t)
	for i := range 50 {
		w.create(node(fmt.Sprintf("n%d", i), "4"))
	}
	for i := range 200 {
		w.create(pod(fmt.Sprintf("p%d", i), "1"))
	}
	w.Eventually(func() map[string]int {
		var list v1.PodList
		w.Expect(w.client.List(w.ctx, &list)).To(Succeed())
		on := map[string]int{}
		for _, p := range list.Items {
			on[p.Spec.NodeName]++
		}
		return on
	}, 20*time.Second).Should(And(HaveLen(50), HaveEach(4)))
	w.Eventually(w.scheduler.Idle).Should(BeTrue())
}

func node(name, cpu string) *v1.Node {
	return &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Labels: map[string]string{v1.LabelHostname: name}},
		Status: v1.NodeStatus{Allocatable: v1.ResourceList{v1.ResourceCPU: resource.MustParse(cpu), v1.ResourceMemory: resource.MustParse("8Gi"), v1.ResourcePods: resource.MustParse("110")}}}
}

func pod(name, cpu string) *v1.Pod {
	return &v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name)},
		Spec: v1.PodSpec{SchedulerName: DefaultName, Containers: []v1.Container{{Name: "c", Image: "i",
			Resources: v1.ResourceRequirements{Requests: v1.ResourceList{v1.ResourceCPU: resource.MustParse(cpu)}}}}}}
}

func prio(p *v1.Pod, priority int32) *v1.Pod {
	p.Spec.Priority = &priority
	return p
}

// recorder keeps events as text.
type recorder struct {
	mu    sync.Mutex
	texts []string
}

func (r *recorder) Eventf(regarding, _ runtime.Object, kind, reason, action, note string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.texts = append(r.texts, strings.Join([]string{kind, reason, action, regarding.(client.Object).GetName() + ": " + fmt.Sprintf(note, args...)}, " "))
}

func (r *recorder) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.texts...)
}

// informers are real ones on the fake client.
type informers struct {
	informertest.FakeInformers
	client client.WithWatch
	ctx    context.Context
	// watching gets a value for each watch that began.
	watching chan struct{}
}

func (i *informers) GetInformer(_ context.Context, obj client.Object, _ ...ctrlcache.InformerGetOption) (ctrlcache.Informer, error) {
	var list client.ObjectList
	switch obj.(type) {
	case *v1.Pod:
		list = &v1.PodList{}
	case *v1.Node:
		list = &v1.NodeList{}
	case *v1.Namespace:
		list = &v1.NamespaceList{}
	case *v1.Service:
		list = &v1.ServiceList{}
	case *v1.ReplicationController:
		list = &v1.ReplicationControllerList{}
	case *appsv1.ReplicaSet:
		list = &appsv1.ReplicaSetList{}
	case *v1.PersistentVolumeClaim:
		list = &v1.PersistentVolumeClaimList{}
	case *v1.PersistentVolume:
		list = &v1.PersistentVolumeList{}
	case *storagev1.StorageClass:
		list = &storagev1.StorageClassList{}
	case *storagev1.CSINode:
		list = &storagev1.CSINodeList{}
	case *storagev1.CSIDriver:
		list = &storagev1.CSIDriverList{}
	case *storagev1.CSIStorageCapacity:
		list = &storagev1.CSIStorageCapacityList{}
	case *storagev1.VolumeAttachment:
		list = &storagev1.VolumeAttachmentList{}
	case *resourcev1.ResourceClaim:
		list = &resourcev1.ResourceClaimList{}
	case *resourcev1.ResourceSlice:
		list = &resourcev1.ResourceSliceList{}
	case *resourcev1.DeviceClass:
		list = &resourcev1.DeviceClassList{}
	case *resourcev1.DeviceTaintRule:
		list = &resourcev1.DeviceTaintRuleList{}
	default:
		return nil, fmt.Errorf("no informer for %T", obj)
	}
	lw := &toolscache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			l := list.DeepCopyObject().(client.ObjectList)
			return l, i.client.List(i.ctx, l)
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) {
			defer func() { i.watching <- struct{}{} }()
			return i.client.Watch(i.ctx, list.DeepCopyObject().(client.ObjectList))
		},
	}
	inf := toolscache.NewSharedIndexInformer(toolscache.ToListWatcherWithWatchListSemantics(lw, noWatchList{}), obj, 0, toolscache.Indexers{})
	go inf.Run(i.ctx.Done())
	return inf, nil
}

type noWatchList struct{}

func (noWatchList) IsWatchListSemanticsUnSupported() bool { return true }
