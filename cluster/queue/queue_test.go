package queue_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"

	"github.com/coracle-k8s/coracle/cluster/queue"
)

func newQueue(clk clock.Clock) *queue.Queue[string] {
	return queue.New(workqueue.NewTypedItemExponentialFailureRateLimiter[string](5*time.Millisecond, time.Minute), clk)
}

func at(priority int) priorityqueue.AddOpts { return priorityqueue.AddOpts{Priority: &priority} }

func take(t *testing.T, q *queue.Queue[string]) string {
	t.Helper()
	if q.Len() == 0 {
		t.Fatal("nothing is ready")
	}
	key, _, _ := q.GetWithPriority()
	return key
}

func TestOnceEachByPriority(t *testing.T) {
	g := NewWithT(t)
	q := newQueue(clock.RealClock{})
	defer q.ShutDown()
	q.AddWithOpts(at(-1), "low", "raised")
	q.Add("first")
	q.Add("second")
	q.Add("first")
	q.AddWithOpts(at(5), "raised")
	g.Expect([]string{take(t, q), take(t, q), take(t, q), take(t, q)}).To(Equal([]string{"raised", "first", "second", "low"}))
	g.Expect(q.Len()).To(BeZero())
}

func TestAddedWhileBusy(t *testing.T) {
	g := NewWithT(t)
	q := newQueue(clock.RealClock{})
	defer q.ShutDown()
	q.Add("a")
	take(t, q)
	q.Add("a")
	q.Add("a")
	q.Add("b")
	g.Expect(q.Len()).To(Equal(2))
	g.Expect(take(t, q)).To(Equal("b"), "a is with its worker")
	n := q.Numbers()
	g.Expect([]int{n.Ready, n.Delayed, n.Busy}).To(Equal([]int{1, 0, 2}))
	q.Done("a")
	g.Expect(take(t, q)).To(Equal("a"))
	q.Done("a")
	q.Done("b")
	n = q.Numbers()
	g.Expect(n.Idle()).To(BeTrue())
	g.Expect(n.Adds).To(BeEquivalentTo(3))
	g.Expect(n.Worked.Count).To(BeEquivalentTo(3))
	g.Expect(n.Active).NotTo(BeZero())
}

func TestDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		q := newQueue(clock.RealClock{})
		defer q.ShutDown()
		q.AddAfter("late", time.Hour)
		q.AddAfter("soon", time.Minute)
		q.AddAfter("hurried", time.Hour)
		q.AddAfter("hurried", 2*time.Minute)
		q.AddAfter("now", time.Hour)
		q.Add("now")
		q.AddAfter("now", time.Hour)
		g.Expect(take(t, q)).To(Equal("now"))
		began := time.Now()
		for _, want := range []struct {
			key   string
			after time.Duration
		}{{"soon", time.Minute}, {"hurried", 2 * time.Minute}, {"late", time.Hour}} {
			key, _, _ := q.GetWithPriority()
			g.Expect(key).To(Equal(want.key))
			g.Expect(time.Since(began)).To(Equal(want.after))
		}
		g.Expect(q.Numbers().Retries).To(BeEquivalentTo(6))
	})
}

func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		q := newQueue(clock.RealClock{})
		defer q.ShutDown()
		for _, want := range []time.Duration{5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond} {
			began := time.Now()
			q.AddRateLimited("a")
			q.Get()
			q.Done("a")
			g.Expect(time.Since(began)).To(Equal(want))
		}
		g.Expect(q.NumRequeues("a")).To(Equal(3))
		q.Forget("a")
		g.Expect(q.NumRequeues("a")).To(BeZero())
	})
}

func TestOtherClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		clk := clocktesting.NewFakeClock(time.Now())
		q := newQueue(clk)
		defer q.ShutDown()
		q.AddAfter("by the clock", time.Minute)
		q.AddAfter("pause", time.Second/2)
		q.AddRateLimited("retry")
		time.Sleep(time.Hour) //nolint:forbidigo // in a bubble of synctest
		synctest.Wait()
		g.Expect([]string{take(t, q), take(t, q)}).To(ConsistOf("retry", "pause"), "pauses and retries are real")
		g.Expect(q.Len()).To(BeZero())
		clk.Step(59 * time.Second)
		synctest.Wait()
		g.Expect(q.Len()).To(BeZero())
		clk.Step(time.Second)
		synctest.Wait()
		g.Expect(take(t, q)).To(Equal("by the clock"))
		// An item that both clocks delay comes by the earlier of them.
		q.Done("retry")
		q.AddAfter("retry", time.Hour)
		q.AddRateLimited("retry")
		q.Get()
		g.Expect(q.Numbers().Delayed).To(BeZero())
	})
}

func TestShutDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		q := newQueue(clocktesting.NewFakeClock(time.Now()))
		ended := make(chan bool)
		for range 3 {
			go func() {
				_, shutdown := q.Get()
				ended <- shutdown
			}()
		}
		synctest.Wait()
		q.AddAfter("later", time.Hour)
		q.ShutDown()
		q.Add("dropped")
		for range 3 {
			g.Expect(<-ended).To(BeTrue())
		}
		g.Expect(q.ShuttingDown()).To(BeTrue())
		g.Expect(q.Len()).To(BeZero())
	})
}

func TestHistogram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		q := newQueue(clock.RealClock{})
		defer q.ShutDown()
		for _, d := range []time.Duration{time.Millisecond, 2 * time.Millisecond, time.Minute} {
			q.Add("a")
			q.Get()
			time.Sleep(d) //nolint:forbidigo // in a bubble of synctest
			n := q.Numbers()
			g.Expect([]time.Duration{n.Unfinished, n.Longest}).To(Equal([]time.Duration{d, d}))
			q.Done("a")
		}
		worked := q.Numbers().Worked
		g.Expect(worked.Sum).To(Equal(time.Minute + 3*time.Millisecond))
		g.Expect(worked.Buckets()).To(And(HaveKeyWithValue(1e-4, uint64(0)), HaveKeyWithValue(1e-3, uint64(1)), HaveKeyWithValue(1e-2, uint64(2)), HaveKeyWithValue(10.0, uint64(2))))
		g.Expect(worked.Count).To(BeEquivalentTo(3))
	})
}

// oracle is the queue's contract, slowly.
type oracle struct {
	queued []entry
	busy   map[string]bool
	order  int
}

type entry struct {
	key             string
	priority, order int
}

func (o *oracle) add(key string, priority int) {
	i := slices.IndexFunc(o.queued, func(e entry) bool { return e.key == key })
	if i < 0 {
		o.queued = append(o.queued, entry{key, priority, o.order})
		o.order++
	} else if priority > o.queued[i].priority {
		o.queued[i].priority, o.queued[i].order = priority, o.order
		o.order++
	}
}

func (o *oracle) get() (string, bool) {
	slices.SortFunc(o.queued, func(a, b entry) int { return cmp.Or(b.priority-a.priority, a.order-b.order) })
	i := slices.IndexFunc(o.queued, func(e entry) bool { return !o.busy[e.key] })
	if i < 0 {
		return "", false
	}
	key := o.queued[i].key
	o.queued = slices.Delete(o.queued, i, i+1)
	o.busy[key] = true
	return key, true
}

func TestLikeTheOracle(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		q, o := newQueue(clock.RealClock{}), &oracle{busy: map[string]bool{}}
		for range 200 {
			key := string(rune('a' + random.IntN(8)))
			switch random.IntN(3) {
			case 0:
				priority := random.IntN(3)
				q.AddWithOpts(at(priority), key)
				o.add(key, priority)
			case 1:
				if want, ok := o.get(); ok {
					if got := take(t, q); got != want {
						t.Fatalf("seed %d: got %s, want %s", seed, got, want)
					}
				}
			case 2:
				q.Done(key)
				delete(o.busy, key)
			}
			if n := q.Numbers(); n.Ready != len(o.queued) || n.Busy != len(o.busy) {
				t.Fatalf("seed %d: %d ready and %d busy, want %d and %d", seed, n.Ready, n.Busy, len(o.queued), len(o.busy))
			}
		}
		q.ShutDown()
	}
}
