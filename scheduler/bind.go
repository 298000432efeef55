package scheduler

import (
	"context"
	"errors"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/cache"
	"github.com/coracle-k8s/coracle/scheduler/framework"
	"github.com/coracle-k8s/coracle/scheduler/queue"
)

// binding is a decision to be written.
type binding struct {
	queued  *queue.Pod
	state   *framework.CycleState
	assumed *cache.PodInfo
	node    string
	start   time.Time
}

// bindTimeout ends a write that the API does not answer, also while stopping.
const bindTimeout = 30 * time.Second

// bind is the binding cycle of one pod. A binding that was begun is finished
// even when the scheduler stops meanwhile.
func (s *Scheduler) bind(ctx context.Context, b *binding) {
	pod := b.assumed.GetPod()
	write, cancel := context.WithTimeout(context.WithoutCancel(ctx), bindTimeout)
	defer cancel()
	if st := s.framework.Bind(write, b.state, pod, b.node); !st.IsSuccess() {
		s.unbind(ctx, b, st, apierrors.IsNotFound(st.AsError()))
		return
	}
	s.queue.Done(pod.UID)
	s.diagnoses.forget(pod.UID)
	s.metrics.scheduled(b.queued, s.since(b.start), s.cfg.Clock.Now())
	s.cfg.Recorder.Eventf(b.queued.GetPod(), nil, v1.EventTypeNormal, "Scheduled", "Binding",
		"Successfully assigned %v/%v to %v", pod.Namespace, pod.Name, b.node)
}

// unbind gives up a binding that failed, because the pod is gone or not.
func (s *Scheduler) unbind(ctx context.Context, b *binding, st *fwk.Status, gone bool) {
	pod := b.assumed.GetPod()
	s.framework.RunReservePluginsUnreserve(ctx, b.state, pod, b.node)
	s.cache.ForgetPod(pod.UID)
	// The pod's resources are free again, which others may wait for.
	s.queue.Happened(ctx, fwk.ClusterEvent{Resource: fwk.AssignedPod, ActionType: fwk.Delete}, pod, nil)
	if gone {
		s.queue.Done(pod.UID) // there is no pod to report on
		return
	}
	s.failed(ctx, b.queued, failure{err: st.AsError(), start: b.start})
}

// waiting are pods whose binding waits for something that others do, and may
// take minutes: each has a goroutine, so that it keeps no binder from others.
type waiting struct {
	done *sync.WaitGroup
	mu   *sync.Mutex
	pods map[types.UID]context.CancelCauseFunc
}

func newWaiting() waiting {
	return waiting{done: &sync.WaitGroup{}, mu: &sync.Mutex{}, pods: map[types.UID]context.CancelCauseFunc{}}
}

// errPodGone ends the wait of a pod that was deleted.
var errPodGone = errors.New("pod does not exist any more")

func (w waiting) begin(ctx context.Context, uid types.UID) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pods[uid] = cancel
	return ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.pods, uid)
		cancel(nil)
	}
}

// gone ends the wait of a pod, if it does.
func (w waiting) gone(uid types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if cancel, ok := w.pods[uid]; ok {
		cancel(errPodGone)
	}
}

// prepare runs what has to be done before the pod is bound, and then binds it.
func (s *Scheduler) prepare(ctx context.Context, b *binding, busy []fwk.PreBindPlugin) {
	pod := b.assumed.GetPod()
	waitCtx, end := s.waiting.begin(ctx, pod.UID)
	// No plugin can refuse the pod any more, so it need not know of events.
	if deleted := s.queue.Settle(pod.UID); deleted {
		s.waiting.gone(pod.UID)
	}
	s.waiting.done.Go(func() {
		defer end()
		st := s.framework.PreBind(waitCtx, b.state, pod, b.node, busy)
		if !st.IsSuccess() {
			gone := errors.Is(context.Cause(waitCtx), errPodGone)
			s.unbind(ctx, b, st, gone || ctx.Err() != nil) // when the scheduler stops, nothing is reported either
			return
		}
		s.bind(ctx, b)
	})
}
