package job

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/batch"
	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/recorders"
)

var key = types.NamespacedName{Namespace: "ns", Name: "j"}

// world is a server, a cache that shows it as it was at the last sync, and a
// reconciler between them.
type world struct {
	client.WithWatch // the server, as the controller writes to it
	server           client.WithWatch
	t                *testing.T
	clock            *testingclock.FakeClock
	recorder         *record.FakeRecorder
	queue            workqueue.TypedRateLimitingInterface[reconcile.Request]
	r                *Reconciler

	job  *batchv1.Job // the cache
	pods map[string]*corev1.Pod

	// fault, when set, reports whether a write fails, before or after its effect.
	fault        func() (before, after bool)
	mu           sync.Mutex // over fault and created: writes go side by side
	created      int
	statusWrites int
}

func newWorld(t *testing.T, j *batchv1.Job) *world {
	w := &world{t: t, clock: testingclock.NewFakeClock(start), recorder: record.NewFakeRecorder(100_000), pods: map[string]*corev1.Pod{},
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())}
	t.Cleanup(w.queue.ShutDown)
	w.server = fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(j).WithStatusSubresource(&batchv1.Job{}, &corev1.Pod{}).Build()
	w.WithWatch = interceptor.NewClient(w.server,
		interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
				// The answer is never lost: that makes a pod too many, which goes
				// uncounted, and rightly so.
				if before, _ := w.faults(); before {
					return errFault
				}
				w.mu.Lock()
				w.created++
				o.SetName(fmt.Sprintf("p%d", w.created))
				w.mu.Unlock()
				o.SetUID(types.UID(o.GetName()))
				return c.Create(ctx, o, opts...)
			},
			Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
				return w.write(func() error { return c.Patch(ctx, o, p, opts...) })
			},
			Delete: func(ctx context.Context, c client.WithWatch, o client.Object, _ ...client.DeleteOption) error {
				return w.write(func() error { return c.Delete(ctx, o) })
			},
			SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
				w.statusWrites++
				return w.write(func() error { return c.SubResource(sub).Update(ctx, o, opts...) })
			},
		})
	w.restart()
	w.sync()
	return w
}

var errFault = errors.New("the network is down")

func (w *world) faults() (before, after bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fault == nil {
		return false, false
	}
	return w.fault()
}

func (w *world) write(effect func() error) error {
	before, after := w.faults()
	if before {
		return errFault
	}
	if err := effect(); err != nil {
		return err
	}
	if after {
		return errFault
	}
	return nil
}

// restart makes a controller without memory and with a fresh cache.
func (w *world) restart() {
	w.r = New(controllers.Deps{Client: w, Live: w.server, Clock: w.clock, Recorder: recorders.Always(w.recorder)})
	w.sync()
}

// Get and List read the cache.
func (w *world) Get(_ context.Context, _ client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	w.job.DeepCopyInto(obj.(*batchv1.Job))
	return nil
}

func (w *world) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	o := (&client.ListOptions{}).ApplyOptions(opts)
	for _, p := range w.pods {
		if metav1.GetControllerOf(p) != nil == strings.HasPrefix(o.FieldSelector.String(), "controller-uid=") {
			list.(*corev1.PodList).Items = append(list.(*corev1.PodList).Items, *p)
		}
	}
	slices.SortFunc(list.(*corev1.PodList).Items, func(a, b corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// stored reads the server.
func (w *world) stored() (*batchv1.Job, []corev1.Pod) {
	w.t.Helper()
	var j batchv1.Job
	var list corev1.PodList
	if err := errors.Join(w.server.Get(context.Background(), key, &j), w.server.List(context.Background(), &list)); err != nil {
		w.t.Fatal(err)
	}
	return &j, list.Items
}

// sync brings the cache up to date and delivers what that means.
func (w *world) sync() {
	w.syncJob()
	w.syncPods()
}

func (w *world) syncJob() { w.job, _ = w.stored() }

func (w *world) syncPods() {
	ctx, h := context.Background(), w.r.PodHandler()
	_, list := w.stored()
	now := map[string]*corev1.Pod{}
	for i := range list {
		p := &list[i]
		now[p.Name] = p
	}
	was := w.pods
	w.pods = now
	for name, p := range now {
		if old := was[name]; old == nil {
			h.Create(ctx, event.CreateEvent{Object: p}, w.queue)
		} else if old.ResourceVersion != p.ResourceVersion {
			h.Update(ctx, event.UpdateEvent{ObjectOld: old, ObjectNew: p}, w.queue)
		}
	}
	for name, old := range was {
		if now[name] == nil {
			h.Delete(ctx, event.DeleteEvent{Object: old}, w.queue)
		}
	}
}

func (w *world) reconcile() error {
	_, err := w.r.Reconcile(context.Background(), reconcile.Request{NamespacedName: key})
	return err
}

// step syncs, reconciles and syncs again, without faults.
func (w *world) step() {
	w.t.Helper()
	w.sync()
	if err := w.reconcile(); err != nil {
		w.t.Fatal(err)
	}
	w.sync()
}

// end ends a pod as its kubelet would.
func (w *world) end(p *corev1.Pod, phase corev1.PodPhase) {
	w.t.Helper()
	p.Status.Phase = phase
	if err := w.server.Status().Update(context.Background(), p); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) endAll(phase corev1.PodPhase) {
	_, list := w.stored()
	for i := range list {
		if list[i].Status.Phase == "" {
			w.end(&list[i], phase)
		}
	}
}

func (w *world) events() []string {
	var out []string
	for {
		select {
		case e := <-w.recorder.Events:
			if !strings.Contains(e, "SuccessfulCreate") {
				out = append(out, e)
			}
		default:
			return out
		}
	}
}

func conditions(j *batchv1.Job) string {
	var out []string
	for _, c := range j.Status.Conditions {
		out = append(out, fmt.Sprintf("%s=%s %s", c.Type, c.Status, c.Reason))
	}
	return strings.Join(out, ", ")
}

func TestJobCompletes(t *testing.T) {
	w := newWorld(t, newJob(sized(3, 3)))
	w.step()
	j, list := w.stored()
	if len(list) != 3 || j.Status.Active != 3 || j.Status.StartTime == nil {
		t.Fatalf("%d pods, status %+v", len(list), j.Status)
	}
	w.endAll(corev1.PodSucceeded)
	w.step()
	j, list = w.stored()
	if got := conditions(j); got != "SuccessCriteriaMet=True CompletionsReached, Complete=True CompletionsReached" || j.Status.Succeeded != 3 || j.Status.CompletionTime == nil {
		t.Errorf("status %+v", j.Status)
	}
	if slices.ContainsFunc(list, func(p corev1.Pod) bool { return hasFinalizer(&p) }) {
		t.Error("pods keep their finalizer")
	}
	if got := w.events(); len(got) != 1 || got[0] != "Normal Completed Job completed" {
		t.Errorf("events %q", got)
	}
}

func TestJobFailsOnlyWhenItsPodsAreGone(t *testing.T) {
	w := newWorld(t, newJob(func(j *batchv1.Job) { sized(2, 2)(j); j.Spec.BackoffLimit = ptr.To(int32(0)) }))
	w.step()
	_, list := w.stored()
	list[1].Finalizers = append(list[1].Finalizers, "test/kubelet")
	if err := w.server.Update(context.Background(), &list[1]); err != nil {
		t.Fatal(err)
	}
	w.end(&list[0], corev1.PodFailed)
	w.step()
	w.step()
	j, list := w.stored()
	if got := conditions(j); got != "FailureTarget=True BackoffLimitExceeded" || *j.Status.Terminating != 1 {
		t.Fatalf("conditions %s, status %+v", got, j.Status)
	}
	list[1].Finalizers = nil
	if err := w.server.Update(context.Background(), &list[1]); err != nil {
		t.Fatal(err)
	}
	w.step()
	j, _ = w.stored()
	if got := conditions(j); got != "FailureTarget=True BackoffLimitExceeded, Failed=True BackoffLimitExceeded" || j.Status.Failed != 2 {
		t.Errorf("conditions %s, status %+v", got, j.Status)
	}
	if got := w.events(); got[len(got)-1] != "Warning BackoffLimitExceeded Job has reached the specified backoff limit" {
		t.Errorf("events %q", got)
	}
}

func TestSuspendAndResume(t *testing.T) {
	w := newWorld(t, newJob(sized(2, 2)))
	w.step()
	suspend := func(s bool) {
		j, _ := w.stored()
		j.Spec.Suspend = &s
		if err := w.server.Update(context.Background(), j); err != nil {
			t.Fatal(err)
		}
	}
	suspend(true)
	w.step()
	w.step()
	j, list := w.stored()
	if len(list) != 0 || j.Status.Active != 0 || j.Status.Failed != 0 || conditions(j) != "Suspended=True JobSuspended" || j.Status.StartTime != nil {
		t.Fatalf("%d pods, conditions %s, status %+v", len(list), conditions(j), j.Status)
	}
	suspend(false)
	w.step()
	j, list = w.stored()
	if len(list) != 2 || conditions(j) != "Suspended=False JobResumed" || j.Status.StartTime == nil {
		t.Errorf("%d pods, conditions %s", len(list), conditions(j))
	}
}

func TestManyCompletionsTakeFewWrites(t *testing.T) {
	w := newWorld(t, newJob(sized(300, 300)))
	for i := 0; i < 20; i++ {
		w.step()
		w.endAll(corev1.PodSucceeded)
		if j, _ := w.stored(); batch.IsFinished(&j.Status) {
			break
		}
	}
	j, list := w.stored()
	if j.Status.Succeeded != 300 || len(list) != 300 || !batch.IsFinished(&j.Status) {
		t.Errorf("%d pods, status %+v", len(list), j.Status)
	}
	if w.statusWrites > 10 {
		t.Errorf("%d status writes", w.statusWrites)
	}
}

// TestEveryPodIsCountedOnce lets writes fail before and after their effect,
// the cache lag, and the controller restart, and compares the counters with
// the pods.
func TestEveryPodIsCountedOnce(t *testing.T) {
	for seed := range int64(12) {
		random := rand.New(rand.NewSource(seed))
		j := newJob(func(j *batchv1.Job) { sized(8, 4)(j); j.Spec.BackoffLimit = ptr.To(int32(1000)) })
		if seed%2 == 1 {
			j = indexedJob(8, 4, func(s *batchv1.JobSpec) { s.BackoffLimit = ptr.To(int32(1000)) })
		}
		w := newWorld(t, j)
		disturbed := true
		w.fault = func() (bool, bool) { return disturbed && random.Intn(8) == 0, disturbed && random.Intn(8) == 0 }
		for i := 0; i < 400; i++ {
			disturbed = i < 200
			w.clock.Step(10 * time.Second)
			if i%20 == 0 {
				w.sync() // a cache that lags for minutes is taken to have lost an event
			}
			switch random.Intn(6) {
			case 0:
				w.syncJob()
			case 1:
				w.syncPods()
			case 2:
				if disturbed && random.Intn(4) == 0 {
					w.restart()
				}
			case 3:
				_, list := w.stored()
				for k := range list {
					if list[k].Status.Phase == "" && random.Intn(3) == 0 {
						w.end(&list[k], []corev1.PodPhase{corev1.PodSucceeded, corev1.PodSucceeded, corev1.PodFailed}[random.Intn(3)])
					}
				}
			default:
				if err := w.reconcile(); err != nil && !disturbed {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
			if i > 300 {
				w.clock.Step(10 * time.Minute)
				w.sync()
			}
		}
		checkCounts(t, seed, w)
	}
}

func checkCounts(t *testing.T, seed int64, w *world) {
	t.Helper()
	j, list := w.stored()
	var succeeded, failed int32
	indexes := map[string]bool{}
	for i := range list {
		switch list[i].Status.Phase {
		case corev1.PodSucceeded:
			succeeded++
			indexes[list[i].Annotations[batchv1.JobCompletionIndexAnnotation]] = true
		case corev1.PodFailed:
			failed++
		}
	}
	if batch.IsIndexed(&j.Spec) {
		succeeded = int32(len(indexes))
	}
	if !batch.IsFinished(&j.Status) || j.Status.Succeeded != succeeded || j.Status.Failed != failed {
		t.Errorf("seed %d: %d pods succeeded, %d failed; conditions %s, status %+v", seed, succeeded, failed, conditions(j), j.Status)
	}
}
