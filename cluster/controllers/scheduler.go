package controllers

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/cluster/leader"
	"github.com/coracle-k8s/coracle/cluster/queue"
	"github.com/coracle-k8s/coracle/scheduler"
	schedulerqueue "github.com/coracle-k8s/coracle/scheduler/queue"
)

// AddScheduler adds the scheduler to a term.
func AddScheduler(t *leader.Term) (*scheduler.Scheduler, error) {
	s, err := scheduler.New(scheduler.Config{
		Client: t.GetClient(), Cache: t.GetCache(), Recorder: t.GetEventRecorder(scheduler.DefaultName), Clock: t.Clock(), Metrics: t.Metrics(),
		Workloads: []client.Object{&corev1.ReplicationController{}, &appsv1.ReplicaSet{}, &appsv1.StatefulSet{}},
	})
	if err != nil {
		return nil, err
	}
	t.Report(scheduler.DefaultName, func() queue.Numbers { return schedulerNumbers(s) })
	return s, t.Add(s)
}

// schedulerNumbers returns the scheduler's numbers in the words of controllers'
// queues.
func schedulerNumbers(s *scheduler.Scheduler) queue.Numbers {
	idle, c := s.Idle(), s.Counts()
	n := queue.Numbers{
		Ready: c[schedulerqueue.Active], Busy: c[schedulerqueue.InFlight],
		Active:  s.Active(),
		Delayed: c[schedulerqueue.Backoff] + c[schedulerqueue.Unschedulable] + c[schedulerqueue.Gated],
	}
	if !idle && n.Idle() {
		n.Busy = 1 // it writes what it found
	}
	return n
}
