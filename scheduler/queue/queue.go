package queue

import (
	"context"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/utils/clock"
)

// Config holds the settings of a Queue. Less, PreEnqueue and Hints come from the plugins.
type Config struct {
	Less       fwk.LessFunc
	PreEnqueue []fwk.PreEnqueuePlugin
	// Hints are the events that each plugin waits for, by name of plugin.
	Hints map[string][]fwk.ClusterEventWithHint
	Clock clock.Clock
	// Nominator follows the pods that the queue holds.
	Nominator *Nominator
	// InitialBackoff doubles with each refusal up to MaxBackoff; 1 s and 10 s if zero.
	InitialBackoff, MaxBackoff time.Duration
	// MaxUnschedulable is how long a pod waits for an event at most; 5 min if zero.
	MaxUnschedulable time.Duration
	// OnMove, if set, is called for every pod that enters a place, with the
	// reason. It is called under the queue's lock.
	OnMove func(to Place, event string)
}

// Names of events that are not about an object, as Kubernetes' metrics have them.
const (
	EventPodAdd           = "PodAdd"
	EventBackoffComplete  = "BackoffComplete"
	EventScheduleFailure  = "ScheduleAttemptFailure"
	EventForceActivate    = "ForceActivate"
	eventUnschedulableEnd = "UnschedulableTimeout"

	// flushInterval is how often unschedulable pods are looked through for ones
	// that waited too long.
	flushInterval = 30 * time.Second
)

// Queue is safe for concurrent use.
type Queue struct {
	cfg Config

	mu     sync.Mutex
	cond   *sync.Cond
	closed bool
	// kick wakes Run when an earlier deadline appears.
	kick chan struct{}

	pods          map[types.UID]*Pod // all but those in flight
	active        *podHeap
	backoff       *podHeap // refused by a verdict
	errorBackoff  *podHeap // failed by an error
	unschedulable map[types.UID]*Pod
	gated         map[types.UID]*Pod
	inFlight      inFlight
	// nextFlush is when unschedulable pods are looked through again.
	nextFlush time.Time
}

// New returns an empty queue. Run must run for backoffs to end.
func New(cfg Config) *Queue {
	setDefault(&cfg.InitialBackoff, time.Second)
	setDefault(&cfg.MaxBackoff, 10*time.Second)
	setDefault(&cfg.MaxUnschedulable, 5*time.Minute)
	if cfg.OnMove == nil {
		cfg.OnMove = func(Place, string) {}
	}
	sooner := func(a, b *Pod) bool { return a.BackoffUntil.Before(b.BackoffUntil) }
	q := &Queue{
		cfg:           cfg,
		kick:          make(chan struct{}, 1),
		pods:          map[types.UID]*Pod{},
		active:        newHeap(func(a, b *Pod) bool { return cfg.Less(a, b) }),
		backoff:       newHeap(sooner),
		errorBackoff:  newHeap(sooner),
		unschedulable: map[types.UID]*Pod{},
		gated:         map[types.UID]*Pod{},
		inFlight:      newInFlight(),
	}
	q.cond = sync.NewCond(&q.mu)
	return q
}

func setDefault(d *time.Duration, v time.Duration) {
	if *d == 0 {
		*d = v
	}
}

// Add puts a new pod in; one that is known already is updated.
func (q *Queue) Add(ctx context.Context, pod *v1.Pod) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.inFlight.has(pod.UID) {
		return
	}
	if p, ok := q.pods[pod.UID]; ok {
		q.update(ctx, p, p.GetPod(), pod)
		return
	}
	p := &Pod{Timestamp: q.cfg.Clock.Now()}
	p.setPod(pod)
	q.pods[pod.UID] = p
	q.cfg.Nominator.addFromStatus(p.PodInfo)
	q.enter(ctx, p, Active, EventPodAdd)
}

// enter puts p in a place, or among the gated if PreEnqueue refuses it.
func (q *Queue) enter(ctx context.Context, p *Pod, to Place, event string) {
	if to == Active || to == Backoff {
		if s, plugin := q.gate(ctx, p); s != nil {
			p.GatingPlugin, p.GatingMessage = plugin, s.Message()
			to = Gated
		} else {
			p.GatingPlugin, p.GatingMessage = "", ""
		}
	}
	p.place = to
	switch to {
	case Active:
		p.BackoffUntil = time.Time{}
		q.active.push(p)
		q.cond.Signal()
	case Backoff:
		q.backoffOf(p).push(p)
		q.cond.Signal() // may be popped at once, see invariant 3
		q.wakeRun()
	case Gated:
		q.gated[p.uid()] = p
	case Unschedulable:
		q.unschedulable[p.uid()] = p
		q.wakeRun()
	}
	q.cfg.OnMove(to, event)
}

func (q *Queue) backoffOf(p *Pod) *podHeap {
	if p.ConsecutiveErrors > 0 {
		return q.errorBackoff
	}
	return q.backoff
}

func (q *Queue) gate(ctx context.Context, p *Pod) (*fwk.Status, string) {
	for _, plugin := range q.cfg.PreEnqueue {
		if s := plugin.PreEnqueue(ctx, p.GetPod()); !s.IsSuccess() {
			return s, plugin.Name()
		}
	}
	return nil, ""
}

// leave takes p out of the place it is in.
func (q *Queue) leave(p *Pod) {
	switch p.place {
	case Active:
		q.active.remove(p)
	case Backoff:
		q.backoffOf(p).remove(p)
	case Gated:
		delete(q.gated, p.uid())
	case Unschedulable:
		delete(q.unschedulable, p.uid())
	}
	p.place = Unknown
}

// Pop waits for a pod and takes it into flight; Done must follow. It returns
// false when the queue is closed.
func (q *Queue) Pop() (*Pod, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.active.len() == 0 && q.backoff.len() == 0 {
		if q.closed {
			return nil, false
		}
		q.cond.Wait()
	}
	if q.closed {
		return nil, false
	}
	var p *Pod
	if q.active.len() > 0 {
		p = q.active.pop()
	} else {
		p = q.backoff.pop()
	}
	delete(q.pods, p.uid())
	p.place = InFlight
	p.Attempts++
	p.BackoffUntil = time.Time{}
	if p.FirstAttempt.IsZero() {
		p.FirstAttempt = q.cfg.Clock.Now()
	}
	q.inFlight.begin(p.uid())
	return p, true
}

// Done ends the pod's flight: it was bound, is gone, or was put back.
func (q *Queue) Done(uid types.UID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inFlight.end(uid)
}

// Settle records that no plugin will refuse the pod any more, though its flight may
// take minutes: events are not kept for it. It reports whether the pod is gone.
func (q *Queue) Settle(uid types.UID) (deleted bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inFlight.settle(uid)
	_, deleted = q.inFlight.latest(uid)
	return deleted
}

// PutBack returns a pod that failed, with the plugins that refused it set and
// none after an error. Events since it was popped are judged now. The flight ends.
func (q *Queue) PutBack(ctx context.Context, p *Pod) {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.inFlight.end(p.uid())
	latest, deleted := q.inFlight.latest(p.uid())
	if deleted {
		return
	}
	if latest != nil {
		p.setPod(latest)
	}
	p.Timestamp = q.cfg.Clock.Now()
	to := skip
	if p.UnschedulablePlugins.Len()+p.PendingPlugins.Len() == 0 {
		p.ConsecutiveErrors++
		to = afterBackoff
	} else {
		p.ConsecutiveErrors = 0
		if p.UnschedulablePlugins.Len() > 0 {
			p.UnschedulableCount++
		}
		for _, o := range q.inFlight.since(p.uid()) {
			to = max(to, q.judge(p, o))
		}
	}
	q.pods[p.uid()] = p
	q.cfg.Nominator.addFromStatus(p.PodInfo)
	q.enter(ctx, p, q.placeFor(p, to), EventScheduleFailure)
}

// placeFor computes the backoff, which runs from when the pod was refused.
func (q *Queue) placeFor(p *Pod, v verdict) Place {
	if v == skip {
		return Unschedulable
	}
	p.BackoffUntil = p.Timestamp.Add(q.backoffTime(p))
	if v == immediately || !p.BackoffUntil.After(q.cfg.Clock.Now()) {
		return Active
	}
	return Backoff
}

func (q *Queue) backoffTime(p *Pod) time.Duration {
	n := p.UnschedulableCount
	if p.ConsecutiveErrors > 0 {
		n = p.ConsecutiveErrors
	}
	if n == 0 {
		return 0
	}
	d := q.cfg.InitialBackoff
	for ; n > 1 && d < q.cfg.MaxBackoff; n-- {
		d *= 2
	}
	return min(d, q.cfg.MaxBackoff)
}

// Update replaces a pod that is not bound; a change that matters to a plugin
// which refused it brings it back.
func (q *Queue) Update(ctx context.Context, old, pod *v1.Pod) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.inFlight.has(pod.UID) {
		q.inFlight.update(pod)
		for _, e := range PodChanges(old, pod) {
			q.inFlight.record(occurrence{e, old, pod})
		}
		return
	}
	p, ok := q.pods[pod.UID]
	if !ok {
		p = &Pod{Timestamp: q.cfg.Clock.Now()}
		p.setPod(pod)
		q.pods[pod.UID] = p
		q.cfg.Nominator.addFromStatus(p.PodInfo)
		q.enter(ctx, p, Active, EventPodAdd)
		return
	}
	q.update(ctx, p, old, pod)
}

func (q *Queue) update(ctx context.Context, p *Pod, old, pod *v1.Pod) {
	changes := PodChanges(old, pod)
	oldInfo := p.PodInfo
	p.setPod(pod)
	q.cfg.Nominator.update(oldInfo, p.PodInfo)
	switch p.place {
	case Active:
		q.active.fix(p)
	case Gated:
		for _, e := range changes {
			if q.wakes(p.GatingPlugin, pod, occurrence{e, old, pod}) {
				q.leave(p)
				q.enter(ctx, p, Active, e.Label())
				return
			}
		}
	case Unschedulable:
		for _, e := range changes {
			if v := q.judge(p, occurrence{e, old, pod}); v != skip {
				q.leave(p)
				q.enter(ctx, p, q.placeFor(p, v), e.Label())
				return
			}
		}
	}
}

// Delete forgets the pod, wherever it is: it is gone, or bound. A pod in flight
// is not taken back when its cycle fails.
func (q *Queue) Delete(pod *v1.Pod) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.cfg.Nominator.delete(pod.UID)
	q.inFlight.delete(pod.UID)
	if p, ok := q.pods[pod.UID]; ok {
		q.leave(p)
		delete(q.pods, pod.UID)
	}
}

// Happened moves the unschedulable pods that the event may help.
func (q *Queue) Happened(ctx context.Context, event fwk.ClusterEvent, oldObj, newObj any) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.matters(event) {
		return
	}
	o := occurrence{event, oldObj, newObj}
	for _, p := range q.unschedulable {
		if v := q.judge(p, o); v != skip {
			q.leave(p)
			q.enter(ctx, p, q.placeFor(p, v), event.Label())
		}
	}
	for _, p := range q.gated {
		if event.Resource == fwk.WildCard || q.wakes(p.GatingPlugin, p.GetPod(), o) {
			q.leave(p)
			q.enter(ctx, p, Active, event.Label())
		}
	}
	q.inFlight.record(o)
}

// Close ends all Pops.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.cond.Broadcast()
}

// Counts returns how many pods are in each place.
func (q *Queue) Counts() map[Place]int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return map[Place]int{
		Active:        q.active.len(),
		Backoff:       q.backoff.len() + q.errorBackoff.len(),
		Unschedulable: len(q.unschedulable),
		Gated:         len(q.gated),
		InFlight:      q.inFlight.order.Len(),
	}
}

// Status describes a pod in the queue.
type Status struct {
	Place    Place
	Attempts int
	// RetryAt is when the backoff ends, zero outside of backoff.
	RetryAt time.Time
	// Gate is the gating plugin's message.
	Gate string
}

// Find returns the place of a pod; Unknown if it is not here.
func (q *Queue) Find(uid types.UID) Status {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p, ok := q.pods[uid]; ok {
		return Status{p.place, p.Attempts, p.BackoffUntil, p.GatingMessage}
	}
	if q.inFlight.has(uid) {
		return Status{Place: InFlight}
	}
	return Status{}
}
