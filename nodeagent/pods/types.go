package pods

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// ContainerState is the runtime's state of a container.
type ContainerState int

// The states of a container. Created means that it never ran.
const (
	Created ContainerState = iota
	Running
	Exited
	Unknown
)

// Container is one container as the runtime shows it.
type Container struct {
	ID, Name, SandboxID string
	// Attempt counts from 0 and is the restart count.
	Attempt   uint32
	State     ContainerState
	CreatedAt time.Time
	StartedAt time.Time
	// FinishedAt, ExitCode, Reason and Message are of an Exited one. Message is the
	// termination message already, Reason the runtime's (OOMKilled, StartError, …).
	FinishedAt      time.Time
	ExitCode        int32
	Reason, Message string
	// Image is as the user named it, ImageID as the runtime resolved it.
	Image, ImageID string
	// Hash is HashOf the container's spec when it was created.
	Hash string
	// Resources are the ones in effect; nil if the runtime does not report them.
	Resources *corev1.ResourceRequirements
	User      *corev1.ContainerUser
	// Signal is the effective stop signal, if the pod's spec chose one.
	StopSignal *corev1.Signal
}

// Sandbox is one sandbox as the runtime shows it.
type Sandbox struct {
	ID        string
	Attempt   uint32
	Ready     bool
	CreatedAt time.Time
	// IPs are the pod's addresses, none for host network.
	IPs []string
}

// Observed holds the runtime's sandboxes and containers of a pod. Both lists
// are newest first.
type Observed struct {
	Sandboxes  []Sandbox
	Containers []Container
}

// Current returns the newest sandbox, or nil.
func (o *Observed) Current() *Sandbox {
	if len(o.Sandboxes) == 0 {
		return nil
	}
	return &o.Sandboxes[0]
}

// Newest returns the container of that name with the highest attempt, or nil.
// Containers that never ran are passed over.
func (o *Observed) Newest(name string) *Container { return o.nth(name, 0) }

// Previous returns the one before Newest, or nil.
func (o *Observed) Previous(name string) *Container { return o.nth(name, 1) }

func (o *Observed) nth(name string, n int) *Container {
	for i := range o.Containers {
		if c := &o.Containers[i]; c.Name == name && c.State != Created {
			if n == 0 {
				return c
			}
			n--
		}
	}
	return nil
}

// Failure is the reason of a failure, in the words that users see.
type Failure struct {
	Reason, Message string
	// At is when, Retry when it may be tried again.
	At, Retry time.Time
	// Delay is the backoff that led to Retry.
	Delay time.Duration
}

// Unhealthy is a probe's verdict that a container must be restarted.
type Unhealthy struct {
	// Message names the probe that failed.
	Message string
	// Grace replaces the pod's grace period if not nil.
	Grace *int64
}

// Memory is the state of a container between plans.
type Memory struct {
	// ImageRef is the resolved image of the container's spec image Image.
	Image, ImageRef string
	// PullFailure and StartFailure are the latest; nil after a success.
	PullFailure, StartFailure *Failure
	// Backoff is the delay before the next restart, BackoffSince when it was set.
	Backoff      time.Duration
	BackoffSince time.Time
	// PostStarted is the ID of the container whose start is complete, postStart
	// hook included.
	PostStarted string

	// ProbeID is the container that the results below are of.
	ProbeID string
	// StartupDone and Ready are the probes' latest results; nil before the first.
	StartupDone, Ready *bool
	Unhealthy          *Unhealthy
	// ResizeFailure is the failure to change resources in place.
	ResizeFailure *Failure
}

// Kill is a wish of the node itself that the pod end.
type Kill struct {
	// Reason and Message become the pod's.
	Reason, Message string
	// Grace in seconds; nil means the pod's own.
	Grace *int64
}

// State is the memory of a pod between plans. The worker owns and changes it;
// planning only reads it.
type State struct {
	// Rejected is the reason for which the node did not admit the pod.
	Rejected *Failure
	// Prepared is set if volumes are mounted and cgroups and directories exist.
	Prepared bool
	// PrepareFailure and SandboxFailure are the latest; nil after a success.
	PrepareFailure, SandboxFailure *Failure
	// Containers has an entry for each container ever planned.
	Containers map[string]*Memory
	// InFlight holds the actions under way by Action.Key.
	InFlight map[string]bool
	// Killing maps IDs of containers being killed to the time of SIGKILL.
	Killing map[string]time.Time
	// Kill is set when the node wants the pod to end.
	Kill *Kill
	// Gone means that the API has no such pod any more. Then nothing is written.
	Gone bool
	// GoneGrace is the grace in seconds for a Gone pod.
	GoneGrace int64
	// TerminatingSince is when a plan first ended the pod; zero before.
	TerminatingSince time.Time
	// StoppedSandboxes were stopped for good, their networks released.
	StoppedSandboxes map[string]bool
	// Released: volumes unmounted, cgroups gone. Removed: nothing of the pod is
	// left on the node.
	Released, Removed bool
	// HostIPs are the node's addresses.
	HostIPs []string
	// MaxBackoff caps restart delays.
	MaxBackoff time.Duration
	// Allocated are the container resources the node admitted, by container; a
	// container that is missing has those of its spec.
	Allocated map[string]corev1.ResourceRequirements
	// ResizePending is why the resources of the spec are not granted: Deferred or Infeasible.
	ResizePending *Failure
}

// NewState returns an empty memory.
func NewState(hostIPs []string, maxBackoff time.Duration) *State {
	return &State{
		Containers: map[string]*Memory{}, InFlight: map[string]bool{}, Killing: map[string]time.Time{},
		StoppedSandboxes: map[string]bool{}, Allocated: map[string]corev1.ResourceRequirements{},
		HostIPs: hostIPs, MaxBackoff: maxBackoff,
	}
}

// Of returns the memory of a container, an empty one if there is none. Planning
// must not write to the result.
func (s *State) Of(name string) *Memory {
	if m := s.Containers[name]; m != nil {
		return m
	}
	return &Memory{}
}

// Edit returns the memory of a container for writing.
func (s *State) Edit(name string) *Memory {
	m := s.Containers[name]
	if m == nil {
		m = &Memory{}
		s.Containers[name] = m
	}
	return m
}

// Kind is the kind of an action.
type Kind int

// The kinds of actions.
const (
	// Prepare makes directories and cgroups and mounts volumes.
	Prepare Kind = iota
	// CreateSandbox runs a sandbox with number Attempt.
	CreateSandbox
	// PullImage makes sure that the container's image is there.
	PullImage
	// StartContainer creates and starts the container in SandboxID with number
	// Attempt and runs its postStart hook.
	StartContainer
	// KillContainer runs the preStop hook, signals and after Grace kills.
	KillContainer
	// StopSandbox stops a sandbox and releases its network.
	StopSandbox
	// RemoveContainer removes a dead container that is not shown any more.
	RemoveContainer
	// Resize changes the resources of a running container to the allocated ones.
	Resize
	// Release unmounts volumes and removes cgroups.
	Release
	// Remove removes containers, sandboxes, logs and directories.
	Remove
	// Finalize removes the pod from the API.
	Finalize
)

func (k Kind) String() string {
	return [...]string{"Prepare", "CreateSandbox", "PullImage", "StartContainer", "KillContainer", "StopSandbox",
		"RemoveContainer", "Resize", "Release", "Remove", "Finalize"}[k]
}

// Action is one effect to bring about.
type Action struct {
	Kind Kind
	// Container names the container, ContainerID a particular one.
	Container, ContainerID string
	SandboxID              string
	Attempt                uint32
	// Grace is the time until SIGKILL.
	Grace time.Duration
	// Message is the reason, for the Killing event.
	Message string
	// Backoff is the delay before the next restart, to be remembered when a
	// restart is started; 0 for a first start.
	Backoff time.Duration
}

// Key identifies an action among those in flight.
func (a Action) Key() string {
	switch a.Kind {
	case KillContainer, RemoveContainer:
		return a.Kind.String() + "/" + a.ContainerID
	case StopSandbox:
		return a.Kind.String() + "/" + a.SandboxID
	case PullImage, StartContainer, Resize:
		return a.Kind.String() + "/" + a.Container
	}
	return a.Kind.String()
}

// Probe asks that a container be probed.
type Probe struct {
	Container, ContainerID string
	// ReadinessOnly is set while the pod terminates.
	ReadinessOnly bool
}

// Plan holds the next actions for a pod.
type Plan struct {
	Actions []Action
	// Status is the new status of the pod.
	Status corev1.PodStatus
	// Probes are the containers to be probed.
	Probes []Probe
	// Next is when to plan again if nothing happens before; zero is never.
	Next time.Time
	// Terminating is set once the pod is to end, Done when nothing is left to do
	// for it, ever.
	Terminating, Done bool
}

// Input is all a plan depends on.
type Input struct {
	// Pod is the newest version from the API, or the last one known.
	Pod      *corev1.Pod
	Observed Observed
	State    *State
	Now      time.Time
}
