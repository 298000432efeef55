package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// ErrNoScheduler is returned if the scheduler does not run in this process: it is turned off,
// or another server has it.
var ErrNoScheduler = errors.New("the scheduler does not run in this process")

// Explanation has the reasons why a pod has no node yet.
type Explanation struct {
	// Node is the pod's node. All else is empty then.
	Node string
	// Queue is the queue that the pod waits in: active, backoff, unschedulable, gated or in-flight; empty if
	// the scheduler has not seen the pod yet.
	Queue string
	// Gate is the reason that keeps the pod out of the queue, empty if none does.
	Gate string
	// Message is that of the last FailedScheduling event; empty before the first attempt.
	Message string
	// Nodes is how many nodes there were at the last attempt.
	Nodes int
	// Reasons are those for which nodes were refused, sorted as in Message.
	Reasons []NodesRefused
	// Plugins refused the pod. It is tried again when an event concerns one of them.
	Plugins []string
	// NominatedNode is the node on which pods are evicted for this one, if any.
	NominatedNode string
	Attempts      int
	LastAttempt   time.Time
	// RetryAt is the time of the next attempt, zero if the pod waits for an event.
	RetryAt time.Time
}

// NodesRefused is a reason for which some nodes were refused. The same text appears
// twice where preemption may help on some nodes and not on others.
type NodesRefused struct {
	Plugin string
	Text   string
	// Count is how many nodes, Names has at most 100 of them.
	Count int
	Names []string
	// Preemptible is set if evicting pods could help.
	Preemptible bool
}

// Explain returns why a pod has no node yet. The error is NotFound if there is no such pod, and
// ErrNoScheduler if only another process could answer.
func (c *Cluster) Explain(ctx context.Context, pod types.NamespacedName) (Explanation, error) {
	var p corev1.Pod
	if err := c.Manager().GetAPIReader().Get(ctx, pod, &p); err != nil {
		return Explanation{}, fmt.Errorf("explaining pod %s: %w", pod, err)
	}
	if p.Spec.NodeName != "" {
		return Explanation{Node: p.Spec.NodeName}, nil
	}
	s := c.scheduler.Load()
	if s == nil {
		return Explanation{}, ErrNoScheduler
	}
	d, _ := s.Explain(pod)
	e := Explanation{
		Queue: string(d.Place), Gate: d.Gate, Message: d.Message, Nodes: d.Nodes, Plugins: d.Plugins,
		NominatedNode: d.NominatedNode, Attempts: d.Attempts, LastAttempt: d.LastAttempt, RetryAt: d.RetryAt,
	}
	for _, r := range d.Reasons {
		e.Reasons = append(e.Reasons, NodesRefused{Plugin: r.Plugin, Text: r.Text, Count: r.Nodes, Names: r.Names, Preemptible: r.Preemptible})
	}
	return e, nil
}
