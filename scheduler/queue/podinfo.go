package queue

import (
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/cache"
)

// Pod is a pod in the queue and its history.
type Pod struct {
	*cache.PodInfo
	// Timestamp is when the pod entered the place it is in.
	Timestamp time.Time
	// Attempts counts scheduling cycles so far.
	Attempts int
	// FirstAttempt is when the pod was first popped; zero before.
	FirstAttempt time.Time
	// BackoffUntil is when the backoff ends; zero without one.
	BackoffUntil time.Time
	// UnschedulableCount counts verdicts, ConsecutiveErrors errors in a row:
	// the two kinds of backoff grow separately.
	UnschedulableCount int
	ConsecutiveErrors  int
	// UnschedulablePlugins and PendingPlugins refused the pod last time.
	UnschedulablePlugins sets.Set[string]
	PendingPlugins       sets.Set[string]
	// GatingPlugin refused to let the pod in; "" if none does.
	GatingPlugin string
	// GatingMessage is that plugin's message.
	GatingMessage string

	place Place
	index int // in its heap
}

var _ fwk.QueuedEntityInfo = &Pod{}

func (p *Pod) Type() fwk.EntityKeyType { return fwk.PodKeyType }

// GetPriority returns the pod's spec.priority, 0 without one.
func (p *Pod) GetPriority() int32 {
	if prio := p.GetPod().Spec.Priority; prio != nil {
		return *prio
	}
	return 0
}
func (p *Pod) GetTimestamp() time.Time         { return p.Timestamp }
func (p *Pod) GetAttempts() int                { return p.Attempts }
func (p *Pod) GetBackoffExpiration() time.Time { return p.BackoffUntil }
func (p *Pod) GetUnschedulableCount() int      { return p.UnschedulableCount }
func (p *Pod) GetConsecutiveErrorsCount() int  { return p.ConsecutiveErrors }

// GetInitialAttemptTimestamp returns nil before the first attempt.
func (p *Pod) GetInitialAttemptTimestamp() *time.Time {
	if p.FirstAttempt.IsZero() {
		return nil
	}
	return &p.FirstAttempt
}
func (p *Pod) GetUnschedulablePlugins() sets.Set[string] { return p.UnschedulablePlugins }
func (p *Pod) GetPendingPlugins() sets.Set[string]       { return p.PendingPlugins }
func (p *Pod) GetGatingPlugin() string                   { return p.GatingPlugin }
func (p *Pod) GetGatingPluginEvents() []fwk.ClusterEvent { return nil }
func (p *Pod) uid() types.UID                            { return p.GetPod().UID }
func (p *Pod) setPod(pod *v1.Pod)                        { p.PodInfo, _ = cache.NewPodInfo(pod) }

// Place is the part of the queue that holds a pod.
type Place string

// Places; the first four are the queue label of scheduler_pending_pods.
const (
	Active        Place = "active"
	Backoff       Place = "backoff"
	Unschedulable Place = "unschedulable"
	Gated         Place = "gated"
	InFlight      Place = "in-flight"
	Unknown       Place = ""
)
