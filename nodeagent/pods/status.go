package pods

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

// Reasons of waiting and terminated containers, as users know them.
const (
	ReasonContainerCreating      = "ContainerCreating"
	ReasonPodInitializing        = "PodInitializing"
	ReasonCrashLoopBackOff       = "CrashLoopBackOff"
	ReasonErrImagePull           = "ErrImagePull"
	ReasonImagePullBackOff       = "ImagePullBackOff"
	ReasonErrImageNeverPull      = "ErrImageNeverPull"
	ReasonInvalidImageName       = "InvalidImageName"
	ReasonCreateConfigError      = "CreateContainerConfigError"
	ReasonCreateError            = "CreateContainerError"
	ReasonRunError               = "RunContainerError"
	ReasonPostStartHookError     = "PostStartHookError"
	ReasonCompleted              = "Completed"
	ReasonError                  = "Error"
	ReasonContainerStatusUnknown = "ContainerStatusUnknown"
)

// pullErrorShown is how long ErrImagePull shows before ImagePullBackOff does.
const pullErrorShown = 2 * time.Second

// status returns the status the pod should have.
func (p *planner) status() corev1.PodStatus {
	pod := p.Pod
	status := *pod.Status.DeepCopy()
	now := metav1.NewTime(p.Now.Truncate(time.Second))
	status.ObservedGeneration = pod.Generation
	status.QOSClass = podapi.QOSClass(pod)
	status.Reason, status.Message = p.reason, p.message
	if status.StartTime == nil {
		status.StartTime = &now
	}
	if terminal(pod.Status.Phase) && !p.plan.Terminating {
		return status
	}
	p.addresses(&status)
	ended := p.plan.Terminating && p.nothingRuns()
	if p.State.Rejected == nil {
		status.InitContainerStatuses = p.containerStatuses(pod.Spec.InitContainers, pod.Status.InitContainerStatuses, true, ended)
		status.ContainerStatuses = p.containerStatuses(pod.Spec.Containers, pod.Status.ContainerStatuses, false, ended)
		status.EphemeralContainerStatuses = p.ephemeralStatuses(ended)
	}
	status.Phase = p.phase(&status, ended)
	sandboxReady := p.sandbox != nil && !ended
	status.Conditions = Conditions(pod, &status, sandboxReady, now)
	p.resizeConditions(&status, now)
	return status
}

func (p *planner) addresses(status *corev1.PodStatus) {
	status.HostIPs = nil
	for _, ip := range p.State.HostIPs {
		status.HostIPs = append(status.HostIPs, corev1.HostIP{IP: ip})
	}
	status.HostIP = ""
	if len(p.State.HostIPs) > 0 {
		status.HostIP = p.State.HostIPs[0]
	}
	if p.sandbox == nil {
		return // addresses of the last sandbox stay until there are new ones
	}
	ips := p.sandbox.IPs
	if p.Pod.Spec.HostNetwork {
		ips = p.State.HostIPs
	}
	status.PodIP, status.PodIPs = "", nil
	for _, ip := range ips {
		status.PodIPs = append(status.PodIPs, corev1.PodIP{IP: ip})
	}
	if len(ips) > 0 {
		status.PodIP = ips[0]
	}
}

// phase follows from container statuses; ended means that nothing runs and nothing will.
func (p *planner) phase(status *corev1.PodStatus, ended bool) corev1.PodPhase {
	switch {
	case terminal(p.Pod.Status.Phase):
		return p.Pod.Status.Phase
	case p.State.Rejected != nil:
		return corev1.PodFailed
	case ended:
		if p.reason == "" && p.allSucceeded(status) {
			return corev1.PodSucceeded
		}
		return corev1.PodFailed
	}
	waiting := len(status.ContainerStatuses) == 0
	for _, s := range status.ContainerStatuses {
		if s.State.Waiting != nil && s.LastTerminationState.Terminated == nil {
			waiting = true
		}
	}
	if waiting {
		return corev1.PodPending
	}
	return corev1.PodRunning
}

func (p *planner) allSucceeded(status *corev1.PodStatus) bool {
	if p.initFailed() {
		return false
	}
	return !slices.ContainsFunc(status.ContainerStatuses, func(s corev1.ContainerStatus) bool {
		return s.State.Terminated == nil || s.State.Terminated.ExitCode != 0
	})
}

func (p *planner) containerStatuses(containers []corev1.Container, old []corev1.ContainerStatus, init, ended bool) []corev1.ContainerStatus {
	if len(containers) == 0 {
		return nil
	}
	out := make([]corev1.ContainerStatus, len(containers))
	for i := range containers {
		out[i] = p.containerStatus(&containers[i], findStatus(old, containers[i].Name), init, ended)
	}
	return out
}

func (p *planner) ephemeralStatuses(ended bool) []corev1.ContainerStatus {
	var out []corev1.ContainerStatus
	for i := range p.Pod.Spec.EphemeralContainers {
		c := (*corev1.Container)(&p.Pod.Spec.EphemeralContainers[i].EphemeralContainerCommon)
		s := p.containerStatus(c, findStatus(p.Pod.Status.EphemeralContainerStatuses, c.Name), false, ended)
		s.Ready, s.Started = false, nil
		out = append(out, s)
	}
	return out
}

func (p *planner) containerStatus(c *corev1.Container, old *corev1.ContainerStatus, init, ended bool) corev1.ContainerStatus {
	s := corev1.ContainerStatus{Name: c.Name, Image: c.Image}
	started := false
	s.Started = &started
	o := p.Observed.Newest(c.Name)
	if o == nil {
		p.unseen(&s, c, old, init, ended)
		return s
	}
	s.ContainerID, s.RestartCount = "containerd://"+o.ID, int32(o.Attempt)
	s.Image, s.ImageID, s.User, s.StopSignal = o.Image, o.ImageID, o.User, o.StopSignal
	s.VolumeMounts = mountStatuses(c)
	p.resources(&s, c, o)
	if prev := p.Observed.Previous(c.Name); prev != nil && prev.State == Exited {
		s.LastTerminationState.Terminated = terminated(prev)
	} else if old != nil && old.RestartCount == s.RestartCount {
		s.LastTerminationState = *old.LastTerminationState.DeepCopy()
	}
	switch o.State {
	case Running:
		s.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(o.StartedAt.Truncate(time.Second))}
		started = p.started(c, o)
		s.Ready = p.ready(c, o, init)
	case Exited:
		s.State.Terminated = terminated(o)
		s.Ready = init && !IsSidecar(c) && o.ExitCode == 0
		p.waitingAgain(&s, c, o, ended)
	default:
		s.State.Terminated = &corev1.ContainerStateTerminated{
			Reason: ReasonContainerStatusUnknown, ExitCode: 137, ContainerID: s.ContainerID,
			Message: "The container could not be located when the pod was terminated",
		}
	}
	return s
}

// waitingAgain shows an exited container as waiting when it is to restart but
// cannot yet; how it ended moves to its last state.
func (p *planner) waitingAgain(s *corev1.ContainerStatus, c *corev1.Container, o *Container, ended bool) {
	if ended || p.plan.Terminating {
		return
	}
	var waiting *corev1.ContainerStateWaiting
	if _, held := p.backoff[c.Name]; held {
		waiting = &corev1.ContainerStateWaiting{
			Reason: ReasonCrashLoopBackOff,
			Message: fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)",
				p.State.Of(c.Name).Backoff, c.Name, p.Pod.Name, p.Pod.Namespace, p.Pod.UID),
		}
	} else if f := p.failure(c); f != nil {
		waiting = &corev1.ContainerStateWaiting{Reason: f.Reason, Message: f.Message}
	}
	if waiting != nil {
		s.LastTerminationState.Terminated = terminated(o)
		s.State = corev1.ContainerState{Waiting: waiting}
	}
}

// unseen fills in the status of a container that the runtime does not know.
func (p *planner) unseen(s *corev1.ContainerStatus, c *corev1.Container, old *corev1.ContainerStatus, init, ended bool) {
	if old != nil && old.ContainerID != "" {
		// It ran once and was removed: its end stays what it was, or is unknown.
		*s = *old.DeepCopy()
		started := false
		s.Started = &started
		if s.State.Terminated != nil {
			return
		}
		s.Ready = false
		lost := corev1.ContainerStateTerminated{
			Reason: ReasonContainerStatusUnknown, ExitCode: 137,
			Message: "The container could not be located when the pod was deleted.  The container used to be Running",
		}
		if ended {
			s.State = corev1.ContainerState{Terminated: &lost}
			return
		}
		if s.State.Running != nil {
			s.LastTerminationState.Terminated = &lost
		}
	}
	if ended && !init && initialized(p.Pod) {
		// A container of an initialized pod that never started counts as failed, as with
		// the kubelet.
		s.State.Terminated = &corev1.ContainerStateTerminated{
			Reason: ReasonContainerStatusUnknown, ExitCode: 137,
			Message: "The container could not be located when the pod was terminated",
		}
		return
	}
	reason, message := ReasonContainerCreating, ""
	if len(p.Pod.Spec.InitContainers) > 0 {
		reason = ReasonPodInitializing
	}
	if f := p.failure(c); f != nil {
		reason, message = f.Reason, f.Message
	}
	s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

// initialized reports whether init containers are done by the pod's status.
func initialized(pod *corev1.Pod) bool {
	return len(pod.Spec.InitContainers) == 0 || slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodInitialized && c.Status == corev1.ConditionTrue
	})
}

// failure returns what keeps a container from starting, if anything.
func (p *planner) failure(c *corev1.Container) *Failure {
	m := p.State.Of(c.Name)
	if f := m.PullFailure; f != nil && m.Image == c.Image {
		if f.Reason == ReasonErrImagePull && !p.Now.Before(f.At.Add(pullErrorShown)) {
			return &Failure{Reason: ReasonImagePullBackOff, Message: fmt.Sprintf("Back-off pulling image %q: %s: %s", c.Image, f.Reason, f.Message)}
		}
		return f
	}
	return m.StartFailure
}

func terminated(o *Container) *corev1.ContainerStateTerminated {
	t := &corev1.ContainerStateTerminated{
		ExitCode: o.ExitCode, Reason: o.Reason, Message: o.Message,
		StartedAt:   metav1.NewTime(o.StartedAt.Truncate(time.Second)),
		FinishedAt:  metav1.NewTime(o.FinishedAt.Truncate(time.Second)),
		ContainerID: "containerd://" + o.ID,
	}
	if t.Reason == "" {
		t.Reason = ReasonCompleted
		if o.ExitCode != 0 {
			t.Reason = ReasonError
		}
	}
	return t
}

// started reports whether a running container finished starting: its postStart
// hook returned and its startup probe, if any, succeeded.
func (p *planner) started(c *corev1.Container, o *Container) bool {
	m := p.State.Of(c.Name)
	if o.State != Running || m.PostStarted != o.ID {
		return false
	}
	return c.StartupProbe == nil || m.ProbeID == o.ID && m.StartupDone != nil && *m.StartupDone
}

func (p *planner) ready(c *corev1.Container, o *Container, init bool) bool {
	if init && !IsSidecar(c) || !p.started(c, o) {
		return false
	}
	m := p.State.Of(c.Name)
	return c.ReadinessProbe == nil || m.ProbeID == o.ID && m.Ready != nil && *m.Ready
}

func mountStatuses(c *corev1.Container) []corev1.VolumeMountStatus {
	var out []corev1.VolumeMountStatus
	for _, m := range c.VolumeMounts {
		s := corev1.VolumeMountStatus{Name: m.Name, MountPath: m.MountPath, ReadOnly: m.ReadOnly}
		if m.ReadOnly && m.RecursiveReadOnly != nil {
			mode := *m.RecursiveReadOnly
			if mode == corev1.RecursiveReadOnlyIfPossible {
				mode = corev1.RecursiveReadOnlyDisabled
			}
			s.RecursiveReadOnly = &mode
		} else if m.ReadOnly {
			disabled := corev1.RecursiveReadOnlyDisabled
			s.RecursiveReadOnly = &disabled
		}
		out = append(out, s)
	}
	return out
}
