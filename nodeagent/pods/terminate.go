package pods

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

// leastSidecarGrace is the grace period of a sidecar even if the ordinary
// containers used the pod's up, as with the kubelet.
const leastSidecarGrace = 2 * time.Second

// terminate ends the pod's containers: ordinary ones together, then sidecars in
// reverse order with what is left of the grace period.
func (p *planner) terminate(seconds int64) {
	p.plan.Terminating = true
	grace := podapi.Seconds(seconds)
	if ordinary := p.killOrdinary(grace); ordinary {
		return
	}
	since := p.State.TerminatingSince
	if since.IsZero() || p.Pod.DeletionTimestamp == nil && !p.State.Gone {
		// A pod that finished by itself gives its sidecars the whole grace.
		since = p.Now
	}
	left := grace - p.Now.Sub(since)
	if grace > 0 {
		left = max(left, min(grace, leastSidecarGrace))
	}
	for i := len(p.Pod.Spec.InitContainers) - 1; i >= 0; i-- {
		c := &p.Pod.Spec.InitContainers[i]
		if !IsSidecar(c) {
			continue
		}
		if o := p.runningOf(c.Name); o != nil {
			p.kill(o, left, "Stopping container "+c.Name)
			if grace > 0 {
				return
			}
		}
	}
}

// killOrdinary kills all that are not sidecars and reports whether any runs still.
func (p *planner) killOrdinary(grace time.Duration) bool {
	sidecars := map[string]bool{}
	for i := range p.Pod.Spec.InitContainers {
		c := &p.Pod.Spec.InitContainers[i]
		sidecars[c.Name] = IsSidecar(c)
	}
	any := false
	for i := range p.Observed.Containers {
		o := &p.Observed.Containers[i]
		if o.State != Running || sidecars[o.Name] {
			continue
		}
		any = true
		p.kill(o, grace, "Stopping container "+o.Name)
		if c := p.containerOf(o.Name); c != nil && c.ReadinessProbe != nil {
			p.plan.Probes = append(p.plan.Probes, Probe{Container: c.Name, ContainerID: o.ID, ReadinessOnly: true})
		}
	}
	return any
}

func (p *planner) containerOf(name string) *corev1.Container {
	for i := range p.Pod.Spec.Containers {
		if p.Pod.Spec.Containers[i].Name == name {
			return &p.Pod.Spec.Containers[i]
		}
	}
	return nil
}

func (p *planner) runningOf(name string) *Container {
	for i := range p.Observed.Containers {
		if o := &p.Observed.Containers[i]; o.Name == name && o.State == Running {
			return o
		}
	}
	return nil
}

// kill kills a container unless that is under way with no more time than grace.
func (p *planner) kill(o *Container, grace time.Duration, message string) {
	deadline := p.Now.Add(grace)
	if until, killing := p.State.Killing[o.ID]; killing && !deadline.Add(time.Second).Before(until) {
		return
	}
	p.plan.Actions = append(p.plan.Actions, Action{
		Kind: KillContainer, Container: o.Name, ContainerID: o.ID, Grace: grace, Message: message,
	})
}

func (p *planner) nothingRuns() bool {
	if p.anyInFlight(StartContainer, CreateSandbox, Prepare) {
		return false
	}
	for i := range p.Observed.Containers {
		if p.Observed.Containers[i].State == Running {
			return false
		}
	}
	return true
}

// close takes down what a pod without running containers still holds: sandbox,
// then volumes and, if its deletion was asked for, everything else and the object.
func (p *planner) close() {
	s := p.State
	open := false
	for _, sandbox := range p.Observed.Sandboxes {
		if !s.StoppedSandboxes[sandbox.ID] {
			p.act(Action{Kind: StopSandbox, SandboxID: sandbox.ID})
			open = true
		}
	}
	deleted := s.Gone || p.Pod.DeletionTimestamp != nil
	switch {
	case open:
	case !s.Released:
		p.act(Action{Kind: Release})
	case !deleted:
	case !s.Removed:
		p.act(Action{Kind: Remove})
	case s.Gone:
		p.plan.Done = true
	default:
		p.act(Action{Kind: Finalize})
	}
}
