package queue

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/utils/clock"
)

var (
	nodeAdd   = fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add}
	podDelete = fwk.ClusterEvent{Resource: fwk.AssignedPod, ActionType: fwk.Delete}
)

// picky waits for nodes named like the pod; patient for any end of a pod.
func hints() map[string][]fwk.ClusterEventWithHint {
	return map[string][]fwk.ClusterEventWithHint{
		"picky": {{Event: fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add | fwk.UpdateNodeLabel}, QueueingHintFn: func(_ klog.Logger, p *v1.Pod, _, n any) (fwk.QueueingHint, error) {
			if n.(*v1.Node).Name == p.Name {
				return fwk.Queue, nil
			}
			return fwk.QueueSkip, nil
		}}},
		"patient": {{Event: fwk.ClusterEvent{Resource: fwk.Pod, ActionType: fwk.Delete}}},
		"labels":  {{Event: fwk.ClusterEvent{Resource: fwk.TargetPod, ActionType: fwk.UpdatePodLabel}}},
		"gates":   {{Event: fwk.ClusterEvent{Resource: fwk.TargetPod, ActionType: fwk.UpdatePodSchedulingGatesEliminated}}},
	}
}

type gates struct{}

func (gates) Name() string { return "gates" }
func (gates) PreEnqueue(_ context.Context, p *v1.Pod) *fwk.Status {
	if len(p.Spec.SchedulingGates) > 0 {
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, "gated")
	}
	return nil
}

func newTestQueue() *Queue {
	return New(Config{
		Less: func(a, b fwk.QueuedEntityInfo) bool {
			if a.GetPriority() != b.GetPriority() {
				return a.GetPriority() > b.GetPriority()
			}
			return a.GetTimestamp().Before(b.GetTimestamp())
		},
		PreEnqueue: []fwk.PreEnqueuePlugin{gates{}}, Hints: hints(), Clock: clock.RealClock{}, Nominator: NewNominator(),
	})
}

func testPod(name string, priority int32) *v1.Pod {
	return &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}, Spec: v1.PodSpec{Priority: &priority}}
}

func testNode(name string) *v1.Node { return &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}} }

// run gives the test a queue that runs, in a bubble of fake time.
func run(t *testing.T, test func(ctx context.Context, g *WithT, q *Queue)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		q := newTestQueue()
		done := make(chan struct{})
		go func() { q.Run(ctx); close(done) }()
		test(ctx, NewWithT(t), q)
		cancel()
		<-done
		if _, ok := q.Pop(); ok {
			t.Error("Pop returned a pod from a closed queue")
		}
	})
}

// refuse puts p back as refused by plugin.
func refuse(ctx context.Context, q *Queue, p *Pod, plugin string) {
	p.UnschedulablePlugins = sets.New(plugin)
	q.PutBack(ctx, p)
}

func pop(g *WithT, q *Queue) *Pod {
	p, ok := q.Pop()
	g.Expect(ok).To(BeTrue())
	return p
}

func TestPopsByPriorityThenAge(t *testing.T) {
	run(t, func(ctx context.Context, g *WithT, q *Queue) {
		for _, p := range []*v1.Pod{testPod("old", 0), testPod("young", 0), testPod("high", 9)} {
			q.Add(ctx, p)
			time.Sleep(time.Millisecond) //nolint:forbidigo // in a bubble of synctest
		}
		for _, want := range []string{"high", "old", "young"} {
			g.Expect(pop(g, q).GetPod().Name).To(Equal(want))
		}
	})
}

func TestOnlyAnEventThatHelpsWakes(t *testing.T) {
	run(t, func(ctx context.Context, g *WithT, q *Queue) {
		q.Add(ctx, testPod("a", 0))
		refuse(ctx, q, pop(g, q), "picky")
		g.Expect(q.Find("a").Place).To(Equal(Unschedulable))
		q.Happened(ctx, podDelete, testPod("x", 0), nil)
		q.Happened(ctx, nodeAdd, nil, testNode("b"))
		g.Expect(q.Find("a").Place).To(Equal(Unschedulable))
		q.Happened(ctx, nodeAdd, nil, testNode("a"))
		g.Expect(q.Find("a").Place).To(Equal(Backoff))
		g.Expect(pop(g, q).Attempts).To(Equal(2), "an idle queue does not wait for the backoff")
	})
}

func TestBackoffDoublesUpToTenSeconds(t *testing.T) {
	run(t, func(ctx context.Context, g *WithT, q *Queue) {
		q.Add(ctx, testPod("a", 0))
		p := pop(g, q)
		for _, want := range []time.Duration{1, 2, 4, 8, 10, 10} {
			q.PutBack(ctx, p) // an error: no plugin refused it
			g.Expect(q.Find("a").Place).To(Equal(Backoff))
			begin := time.Now()
			p = pop(g, q) // errors are not popped early
			g.Expect(time.Since(begin)).To(Equal(want * time.Second))
		}
	})
}

func TestBackoffKeepsOrderWhenBusy(t *testing.T) {
	run(t, func(ctx context.Context, g *WithT, q *Queue) {
		q.Add(ctx, testPod("refused", 9))
		refuse(ctx, q, pop(g, q), "patient")
		q.Add(ctx, testPod("busy", 0))
		q.Happened(ctx, podDelete, testPod("x", 0), nil)
		g.Expect(pop(g, q).GetPod().Name).To(Equal("busy"), "in backoff, the other goes first")
		q.Add(ctx, testPod("busy2", 0))
		time.Sleep(time.Second) //nolint:forbidigo // in a bubble of synctest
		synctest.Wait()
		g.Expect(pop(g, q).GetPod().Name).To(Equal("refused"), "after backoff, priority counts")
	})
}

func TestEventsInFlightAreNotLost(t *testing.T) {
	run(t, func(ctx context.Context, g *WithT, q *Queue) {
		q.Happened(ctx, nodeAdd, nil, testNode("a")) // before the pop: seen by the cycle
		q.Add(ctx, testPod("a", 0))
		q.Add(ctx, testPod("b", 0))
		a := pop(g, q)
		refuse(ctx, q, a, "picky")
		g.Expect(q.Find("a").Place).To(Equal(Unschedulable))

		b := pop(g, q)
		q.Happened(ctx, nodeAdd, nil, testNode("b"))
		refuse(ctx, q, b, "picky")
		g.Expect(q.Find("b").Place).To(Equal(Backoff))
		g.Expect(q.inFlight.log).To(BeEmpty(), "no pod waits for the event any more")
		g.Expect(q.inFlight.pods).To(BeEmpty())
	})
}

func TestLogIsTrimmedToTheOldestFlight(t *testing.T) {
	g := NewWithT(t)
	f := newInFlight()
	f.record(occurrence{})
	g.Expect(f.log).To(BeEmpty())
	f.begin("a")
	f.record(occurrence{event: nodeAdd})
	f.begin("b")
	f.record(occurrence{event: podDelete})
	g.Expect(f.since("a")).To(HaveLen(2))
	g.Expect(f.since("b")).To(HaveLen(1))
	f.end("a")
	g.Expect(f.log).To(HaveLen(1))
	g.Expect(f.since("b")[0].event).To(Equal(podDelete))
	f.end("b")
	g.Expect(f.log).To(BeEmpty())
}

func TestGatedPodsWaitForTheirGates(t *testing.T) {
	run(t, func(ctx context.Context, g *WithT, q *Queue) {
		gated := testPod("a", 0)
		gated.Spec.SchedulingGates = []v1.PodSchedulingGate{{Name: "x"}, {Name: "y"}}
		q.Add(ctx, gated)
		g.Expect(q.Find("a").Place).To(Equal(Gated))
		g.Expect(q.Counts()).To(HaveKeyWithValue(Gated, 1))
		q.Happened(ctx, podDelete, testPod("x", 0), nil)
		half := gated.DeepCopy()
		half.Spec.SchedulingGates = half.Spec.SchedulingGates[:1]
		q.Update(ctx, gated, half)
		g.Expect(q.Find("a").Place).To(Equal(Gated))
		free := testPod("a", 0)
		q.Update(ctx, half, free)
		g.Expect(q.Find("a").Place).To(Equal(Active))
	})
}

func TestOwnChangesWake(t *testing.T) {
	run(t, func(ctx context.Context, g *WithT, q *Queue) {
		old := testPod("a", 0)
		q.Add(ctx, old)
		refuse(ctx, q, pop(g, q), "labels")
		status := old.DeepCopy()
		status.Status.Message = "changed"
		q.Update(ctx, old, status)
		g.Expect(q.Find("a").Place).To(Equal(Unschedulable), "its status is no reason to retry")
		labelled := status.DeepCopy()
		labelled.Labels = map[string]string{"a": "b"}
		q.Update(ctx, status, labelled)
		g.Expect(q.Find("a").Place).To(Equal(Backoff))
		g.Expect(pop(g, q).GetPod().Labels).To(HaveKey("a"))
	})
}

func TestUpdatesAndDeletionsInFlight(t *testing.T) {
	run(t, func(ctx context.Context, g *WithT, q *Queue) {
		old := testPod("a", 0)
		q.Add(ctx, old)
		p := pop(g, q)
		changed := old.DeepCopy()
		changed.Annotations = map[string]string{"a": "b"}
		q.Update(ctx, old, changed)
		refuse(ctx, q, p, "patient")
		q.Happened(ctx, podDelete, testPod("x", 0), nil)
		p = pop(g, q)
		g.Expect(p.GetPod().Annotations).To(HaveKey("a"), "the newest version comes back")
		q.Delete(changed)
		refuse(ctx, q, p, "patient")
		g.Expect(q.Find("a").Place).To(Equal(Unknown))
		g.Expect(q.inFlight.pods).To(BeEmpty())
	})
}

func TestFiveMinutesWithoutAnEvent(t *testing.T) {
	run(t, func(ctx context.Context, g *WithT, q *Queue) {
		q.Add(ctx, testPod("a", 0))
		refuse(ctx, q, pop(g, q), "picky")
		begin := time.Now()
		pop(g, q)
		g.Expect(time.Since(begin)).To(And(BeNumerically(">=", 5*time.Minute), BeNumerically("<=", 5*time.Minute+flushInterval)))
	})
}

func TestPendingVerdictsSkipTheBackoff(t *testing.T) {
	run(t, func(ctx context.Context, g *WithT, q *Queue) {
		q.Add(ctx, testPod("a", 0))
		p := pop(g, q)
		p.PendingPlugins = sets.New("patient")
		q.PutBack(ctx, p)
		q.Happened(ctx, podDelete, testPod("x", 0), nil)
		g.Expect(q.Find("a").Place).To(Equal(Active))
	})
}

func TestNominator(t *testing.T) {
	g := NewWithT(t)
	q := newTestQueue()
	n := q.cfg.Nominator
	old := testPod("a", 0)
	q.Add(t.Context(), old)
	p, _ := q.Pop()
	n.Promise(p.PodInfo, "n1")
	g.Expect(n.NominatedPodsForNode("n1")).To(HaveLen(1))
	refuse(t.Context(), q, p, "picky")
	labelled := old.DeepCopy()
	labelled.Labels = map[string]string{"a": "b"}
	q.Update(t.Context(), old, labelled)
	g.Expect(n.NodeFor("a")).To(Equal("n1"), "a promise outlives updates that do not mention it")
	moved := labelled.DeepCopy()
	moved.Status.NominatedNodeName = "n2"
	q.Update(t.Context(), labelled, moved)
	g.Expect(n.NodeFor("a")).To(Equal("n2"))
	g.Expect(n.NominatedPodsForNode("n1")).To(BeEmpty())
	q.Delete(moved)
	g.Expect(n.NodeFor("a")).To(BeEmpty())
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		registered, event fwk.ClusterEvent
		want              bool
	}{
		{fwk.ClusterEvent{Resource: fwk.Pod, ActionType: fwk.Delete}, podDelete, true},
		{fwk.ClusterEvent{Resource: fwk.Pod, ActionType: fwk.Add}, podDelete, false},
		{fwk.ClusterEvent{Resource: fwk.TargetPod, ActionType: fwk.All}, podDelete, false},
		{fwk.ClusterEvent{Resource: fwk.WildCard, ActionType: fwk.All}, nodeAdd, true},
		{fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add | fwk.UpdateNodeLabel}, nodeAdd, true},
		{fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Update}, nodeAdd, false},
	} {
		if got := matches(c.registered, c.event); got != c.want {
			t.Errorf("%v for %v: %v", c.registered, c.event, got)
		}
	}
}
