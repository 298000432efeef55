package nodeagent

import (
	"context"
	"errors"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/nodeagent/containers"
	"github.com/coracle-k8s/coracle/nodeagent/images"
	"github.com/coracle-k8s/coracle/nodeagent/pods"
	"github.com/coracle-k8s/coracle/nodeagent/probes"
	"github.com/coracle-k8s/coracle/nodeagent/runtime"
)

// startContainer returns the effect that creates and starts a container and runs
// its postStart hook.
func (w *worker) startContainer(pod *corev1.Pod, action pods.Action) func(ctx context.Context) func() {
	c := containerOf(pod, action.Container)
	m := w.state.Edit(c.Name)
	r := containers.Request{
		Pod: pod, Container: c, SandboxID: action.SandboxID, Attempt: action.Attempt, ImageRef: m.ImageRef, ImageUser: w.users[c.Name],
		Resources: c.Resources, Volumes: w.volumes, Images: maps.Clone(w.imageRefs), Groups: w.extraGroups(), TargetID: w.targetOf(pod, c.Name),
	}
	if granted, ok := w.state.Allocated[c.Name]; ok {
		r.Resources = granted
	}
	if action.Backoff > 0 {
		m.Backoff, m.BackoffSince = action.Backoff, w.agent.config.Clock.Now()
	}
	return func(ctx context.Context) func() {
		id, err := w.agent.starter.Start(ctx, r)
		if err == nil {
			if c.Lifecycle != nil && c.Lifecycle.PostStart != nil {
				// It runs: its status need not wait for the hook.
				w.runtimeChanged()
				err = w.postStart(ctx, r, id)
			}
		}
		return func() { w.started(r, m, id, err) }
	}
}

// targetOf returns the running container whose processes an ephemeral one sees.
func (w *worker) targetOf(pod *corev1.Pod, name string) string {
	for i := range pod.Spec.EphemeralContainers {
		e := &pod.Spec.EphemeralContainers[i]
		if e.Name != name || e.TargetContainerName == "" {
			continue
		}
		if o := w.observed.Newest(e.TargetContainerName); o != nil && o.State == pods.Running {
			return o.ID
		}
	}
	return ""
}

// started remembers how the start of a container went.
func (w *worker) started(r containers.Request, m *pods.Memory, id string, err error) {
	w.looked = false
	if images.PullsAlways(r.Pod, r.Container) || err != nil {
		m.ImageRef = "" // look for it again before the next start
	}
	if err == nil {
		m.PostStarted, m.StartFailure = id, nil
		m.ProbeID, m.StartupDone, m.Ready, m.Unhealthy = id, nil, nil, nil
		return
	}
	reason := pods.ReasonRunError
	if e, ok := errors.AsType[*containers.Error](err); ok {
		reason = e.Reason
	}
	if w.setup.Err() == nil {
		w.agent.warn(r.Pod, eventFailed, "Error: %s", runtime.Text(errors.Unwrap(err)))
	}
	m.StartFailure = w.again(m.StartFailure, reason, runtime.Text(errors.Unwrap(err)), time.Second, 30*time.Second)
}

// postStart runs a container's hook; if it fails the container is killed.
func (w *worker) postStart(ctx context.Context, r containers.Request, id string) error {
	err := w.agent.prober.Hook(w.setup, w.agent.config.Clock, w.target(r.Pod, r.Container, id), r.Container.Lifecycle.PostStart)
	if err == nil || w.setup.Err() != nil {
		return nil
	}
	w.agent.warn(r.Pod, eventFailedPostStart, "PostStartHook failed")
	w.killContainer(ctx, r.Pod, pods.Action{
		Kind: pods.KillContainer, Container: r.Container.Name, ContainerID: id,
		Grace: graceOf(r.Pod), Message: "FailedPostStartHook",
	}, false)
	return &containers.Error{Reason: pods.ReasonPostStartHookError, Err: err}
}

func graceOf(pod *corev1.Pod) time.Duration {
	if g := pod.Spec.TerminationGracePeriodSeconds; g != nil {
		return podapi.Seconds(*g)
	}
	return corev1.DefaultTerminationGracePeriodSeconds * time.Second
}

func (w *worker) target(pod *corev1.Pod, c *corev1.Container, id string) probes.Target {
	ip := pod.Status.PodIP
	if pod.Spec.HostNetwork {
		ip = w.agent.config.NodeIPs[0]
	}
	return probes.Target{Pod: pod, Container: c, ContainerID: id, IP: ip}
}

// leastGrace is the least time that a container has left after its preStop hook.
const leastGrace = 2 * time.Second

// killContainer runs the preStop hook, unless an earlier kill did, then has the
// container end within what is left of the grace.
func (w *worker) killContainer(ctx context.Context, pod *corev1.Pod, a pods.Action, again bool) {
	began := w.agent.config.Clock.Now()
	c := containerOf(pod, a.Container)
	if !again {
		w.agent.normal(pod, eventKilling, "%s", a.Message)
	}
	grace := a.Grace
	if c != nil && c.Lifecycle != nil && c.Lifecycle.PreStop != nil && !again && grace > 0 {
		hook, cancel := context.WithTimeout(ctx, grace)
		err := w.agent.prober.Hook(hook, w.agent.config.Clock, w.target(pod, c, a.ContainerID), c.Lifecycle.PreStop)
		cancel()
		if err != nil && ctx.Err() == nil {
			w.agent.warn(pod, eventFailedPreStop, "PreStopHook failed")
		}
		grace = max(grace-w.agent.config.Clock.Since(began), leastGrace)
	}
	bounded, cancel := context.WithTimeout(ctx, grace+2*time.Minute)
	defer cancel()
	_, err := w.agent.runtime.StopContainer(bounded, &runtimeapi.StopContainerRequest{
		ContainerId: a.ContainerID, Timeout: int64((grace + time.Second - 1) / time.Second),
	})
	w.result(func() {
		w.looked = false
		if ignoreNotFound(err) != nil {
			if ctx.Err() == nil {
				w.agent.warn(pod, eventFailedKill, "error killing pod: failed to stop container %s: %s", a.Container, runtime.Text(err))
			}
			w.unseen = w.agent.config.Clock.Now().Add(time.Second)
			delete(w.state.Killing, a.ContainerID)
		}
	})
}

// memory returns the node's memory in bytes.
func (a *Agent) memory() int64 {
	q := a.machine.Capacity[corev1.ResourceMemory]
	return q.Value()
}
