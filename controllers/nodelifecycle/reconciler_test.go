package nodelifecycle

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	nodeapi "github.com/coracle-k8s/coracle/apis/core/node"
	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/recorders"
)

type fixture struct {
	t     *testing.T
	c     client.Client
	clk   *clocktesting.FakeClock
	rec   *record.FakeRecorder
	r     *Reconciler
	woken map[string]bool
}

func newFixture(t *testing.T, objects ...client.Object) *fixture {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, clk: clocktesting.NewFakeClock(epoch), rec: record.NewFakeRecorder(100), woken: map[string]bool{}}
	f.c = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&corev1.Node{}, &corev1.Pod{}).
		WithIndex(&corev1.Pod{}, index.PodNode, index.ByNode).Build()
	f.r = New(controllers.Deps{Client: f.c, Clock: f.clk, Recorder: recorders.Always(f.rec)}, Config{GracePeriod: 40 * time.Second})
	f.r.watch.start(func(n string) { f.woken[n] = true })
	return f
}

// sync reconciles the nodes, and whatever that wakes.
func (f *fixture) sync(nodes ...string) {
	f.t.Helper()
	for _, n := range nodes {
		f.woken[n] = true
	}
	for range 100 {
		if len(f.woken) == 0 {
			return
		}
		for n := range f.woken {
			delete(f.woken, n)
			if _, err := f.r.Reconcile(context.Background(), reconcile.Request{NamespacedName: types.NamespacedName{Name: n}}); err != nil {
				f.t.Fatal(err)
			}
		}
	}
	f.t.Fatal("does not come to rest")
}

func (f *fixture) taints(name string) string {
	f.t.Helper()
	var n corev1.Node
	if err := f.c.Get(context.Background(), types.NamespacedName{Name: name}, &n); err != nil {
		f.t.Fatal(err)
	}
	return strings.Join(taintNames(n.Spec.Taints), " ")
}

func (f *fixture) events() string {
	out := ""
	for len(f.rec.Events) > 0 {
		out += <-f.rec.Events + "\n"
	}
	return out
}

func (f *fixture) renew(name string) {
	f.r.leaseHandler().Create(context.Background(), event.TypedCreateEvent[*coordinationv1.Lease]{Object: &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-node-lease", Name: name},
		Spec:       coordinationv1.LeaseSpec{RenewTime: &metav1.MicroTime{Time: f.clk.Now()}},
	}}, nil)
}

func TestSilentNode(t *testing.T) {
	ctx := context.Background()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p"}, Spec: corev1.PodSpec{NodeName: "b"},
		Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}}
	b := node("b", corev1.ConditionTrue)
	b.Labels = map[string]string{"kubernetes.io/os": "linux"}
	f := newFixture(t, node("a", corev1.ConditionTrue), b, pod)
	f.sync("a", "b")
	if e := f.events(); !strings.Contains(e, "Normal RegisteredNode Node a event: Registered Node a in Controller") {
		t.Errorf("events %s", e)
	}
	if at, ok := f.r.alarms.At("b"); !ok || !at.Equal(epoch.Add(40*time.Second)) {
		t.Fatalf("alarm at %s", at)
	}
	f.clk.Step(30 * time.Second)
	f.renew("a")
	f.clk.Step(10 * time.Second)
	f.sync("a", "b")
	if got := f.taints("a"); got != "" {
		t.Errorf("the node that renewed its lease has %s", got)
	}
	if at, _ := f.r.alarms.At("a"); !at.Equal(epoch.Add(70 * time.Second)) {
		t.Errorf("its alarm is at %s", at)
	}
	const unreachable = "node.kubernetes.io/unreachable:NoExecute node.kubernetes.io/unreachable:NoSchedule"
	if got := f.taints("b"); got != unreachable {
		t.Errorf("the silent node has %q", got)
	}
	var got corev1.Node
	if err := f.c.Get(ctx, types.NamespacedName{Name: "b"}, &got); err != nil {
		t.Fatal(err)
	}
	if c := nodeapi.GetCondition(&got.Status, corev1.NodeReady); c.Status != corev1.ConditionUnknown || c.Message != "Kubelet stopped posting node status." {
		t.Errorf("condition %+v", c)
	}
	if got.Labels["beta.kubernetes.io/os"] != "linux" {
		t.Errorf("labels %v", got.Labels)
	}
	if err := f.c.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil || pod.Status.Conditions[0].Status != corev1.ConditionFalse {
		t.Errorf("pod %+v %v", pod.Status, err)
	}
	e := f.events()
	for _, want := range []string{"Normal NodeNotReady Node b status is now: NodeNotReady", "Warning NodeNotReady Node is not ready"} {
		if !strings.Contains(e, want) {
			t.Errorf("no event %q in %s", want, e)
		}
	}
	// It comes back.
	got.Status.Conditions[0].Status, got.Status.Conditions[0].LastHeartbeatTime = corev1.ConditionTrue, metav1.NewTime(f.clk.Now())
	if err := f.c.Status().Update(ctx, &got); err != nil {
		t.Fatal(err)
	}
	f.sync("b")
	if got := f.taints("b"); got != "" {
		t.Errorf("the node that is back has %s", got)
	}
	if err := f.c.Delete(ctx, &got); err != nil {
		t.Fatal(err)
	}
	f.sync("b")
	if e := f.events(); !strings.Contains(e, "Normal RemovingNode Node b event: Removing Node b from Controller") {
		t.Errorf("events %s", e)
	}
}

func TestEverythingDown(t *testing.T) {
	f := newFixture(t, node("a", corev1.ConditionTrue), node("b", corev1.ConditionTrue))
	f.sync("a", "b")
	f.clk.Step(40 * time.Second)
	f.sync("a", "b")
	for _, n := range []string{"a", "b"} {
		if got := f.taints(n); strings.Contains(got, "NoExecute") {
			t.Errorf("%s has %s though no node reports", n, got)
		}
	}
	// One is heard again: the other's silence counts from now.
	f.clk.Step(time.Minute)
	var a corev1.Node
	if err := f.c.Get(context.Background(), types.NamespacedName{Name: "a"}, &a); err != nil {
		t.Fatal(err)
	}
	a.Status.Conditions[0].Status, a.Status.Conditions[0].LastHeartbeatTime = corev1.ConditionTrue, metav1.NewTime(f.clk.Now())
	if err := f.c.Status().Update(context.Background(), &a); err != nil {
		t.Fatal(err)
	}
	f.sync("a")
	if got := f.taints("a"); got != "" {
		t.Errorf("a has %s", got)
	}
}

// A Lease whose renewal the cache lacks keeps its node from being declared
// silent; one that is as old as in the cache does not.
func TestServerIsAskedForTheLease(t *testing.T) {
	f := newFixture(t, node("a", corev1.ConditionTrue), node("b", corev1.ConditionTrue))
	scheme := runtime.NewScheme()
	if err := coordinationv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	f.sync("a", "b")
	f.clk.Step(30 * time.Second)
	f.renew("b")
	f.r.live = fake.NewClientBuilder().WithScheme(scheme).WithObjects(&coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-node-lease", Name: "a"},
		Spec:       coordinationv1.LeaseSpec{RenewTime: &metav1.MicroTime{Time: f.clk.Now()}},
	}).Build()
	f.clk.Step(10 * time.Second)
	f.sync("a")
	if got := f.taints("a"); got != "" {
		t.Errorf("the node that renewed its lease has %s", got)
	}
	if at, ok := f.r.alarms.At("a"); !ok || !at.Equal(epoch.Add(80*time.Second)) {
		t.Fatalf("its alarm is at %s", at.Sub(epoch))
	}
	f.clk.Step(40 * time.Second)
	f.renew("b")
	f.sync("a")
	if got := f.taints("a"); !strings.Contains(got, "unreachable:NoExecute") {
		t.Errorf("the silent node has %q", got)
	}
}

func TestMetrics(t *testing.T) {
	excluded := node("x", corev1.ConditionFalse)
	excluded.Labels = map[string]string{labelExcluded: ""}
	f := newFixture(t, node("a", corev1.ConditionTrue), node("b", corev1.ConditionFalse), excluded)
	f.sync("a", "b", "x")
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(f.r.Collectors()...)
	want := `# HELP node_collector_evictions_total Number of Node evictions that happened since current instance of NodeController started.
# TYPE node_collector_evictions_total counter
node_collector_evictions_total{zone=""} 1
# HELP node_collector_unhealthy_nodes_in_zone Gauge measuring number of not Ready Nodes per zones.
# TYPE node_collector_unhealthy_nodes_in_zone gauge
node_collector_unhealthy_nodes_in_zone{zone=""} 1
# HELP node_collector_zone_health Gauge measuring percentage of healthy nodes per zone.
# TYPE node_collector_zone_health gauge
node_collector_zone_health{zone=""} 50
# HELP node_collector_zone_size Gauge measuring number of registered Nodes per zones.
# TYPE node_collector_zone_size gauge
node_collector_zone_size{zone=""} 2
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "node_collector_evictions_total",
		"node_collector_unhealthy_nodes_in_zone", "node_collector_zone_health", "node_collector_zone_size"); err != nil {
		t.Error(err)
	}
}
