package scheduler

import (
	"context"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
		s.framework.RunReservePluginsUnreserve(write, b.state, pod, b.node)
		s.cache.ForgetPod(pod.UID)
		// What the pod took is free again, which others may wait for.
		s.queue.Happened(ctx, fwk.ClusterEvent{Resource: fwk.AssignedPod, ActionType: fwk.Delete}, pod, nil)
		if apierrors.IsNotFound(st.AsError()) {
			s.queue.Done(pod.UID) // deleted meanwhile: nobody to tell
			return
		}
		s.failed(ctx, b.queued, failure{err: st.AsError(), start: b.start})
		return
	}
	s.queue.Done(pod.UID)
	s.diagnoses.forget(pod.UID)
	s.metrics.scheduled(b.queued, s.since(b.start), s.cfg.Clock.Now())
	s.cfg.Recorder.Eventf(b.queued.GetPod(), nil, v1.EventTypeNormal, "Scheduled", "Binding",
		"Successfully assigned %v/%v to %v", pod.Namespace, pod.Name, b.node)
}
