package scheduler

import (
	"context"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/framework"
	"github.com/coracle-k8s/coracle/scheduler/queue"
)

// failure is the reason for which a pod got no node.
type failure struct {
	err error
	// unschedulable is a verdict; otherwise something went wrong.
	unschedulable    bool
	plugins, pending sets.Set[string]
	fit              *framework.FitError
	nominating       *fwk.NominatingInfo
	clearNomination  bool
	start            time.Time
}

// maxEventMessage is the longest note of an event, in bytes.
const maxEventMessage = 1024

// failed puts the pod back and reports why in its status and an event.
func (s *Scheduler) failed(ctx context.Context, p *queue.Pod, f failure) {
	pod := p.GetPod()
	message := f.err.Error()
	reason := v1.PodReasonSchedulerError
	p.UnschedulablePlugins, p.PendingPlugins = f.plugins, f.pending
	if f.unschedulable {
		reason = v1.PodReasonUnschedulable
		s.metrics.attempt("unschedulable", s.since(f.start))
	} else {
		p.UnschedulablePlugins, p.PendingPlugins = nil, nil
		s.metrics.attempt("error", s.since(f.start))
	}
	s.diagnoses.record(p, f, s.cfg.Clock.Now())
	s.nominate(p, f)
	s.queue.PutBack(ctx, p)
	s.status.update(pod, unscheduled(pod, reason, message, s.cfg.Clock.Now()), s.nominator.NodeFor(pod.UID))
	s.cfg.Recorder.Eventf(pod, nil, v1.EventTypeWarning, "FailedScheduling", "Scheduling", "%s", truncate(message))
}

// nominate promises the node that preemption cleared, or takes a promise back.
func (s *Scheduler) nominate(p *queue.Pod, f failure) {
	switch {
	case f.clearNomination:
		s.nominator.DeleteNominatedPodIfExists(p.GetPod())
	case f.nominating.Mode() == fwk.ModeOverride && f.nominating.NominatedNodeName == "":
		s.nominator.DeleteNominatedPodIfExists(p.GetPod())
	case f.nominating.Mode() == fwk.ModeOverride:
		s.nominator.Promise(p.PodInfo, f.nominating.NominatedNodeName)
	}
}

func truncate(message string) string {
	const suffix = " ..."
	if len(message) <= maxEventMessage {
		return message
	}
	return message[:maxEventMessage-len(suffix)] + suffix
}
