package nodeagent

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/coracle-k8s/coracle/nodeagent/pods"
	"github.com/coracle-k8s/coracle/nodeagent/probes"
)

// probeKey names one probe of one container.
type probeKey struct {
	containerID string
	kind        probes.Kind
}

// syncProbes runs the probes that the plan asks for and ends all others. While a
// startup probe has not succeeded the others wait.
func (w *worker) syncProbes(wanted []pods.Probe) {
	want := map[probeKey]func(){}
	for _, p := range wanted {
		c := containerOf(w.pod, p.Container)
		m := w.state.Edit(p.Container)
		add := func(kind probes.Kind, probe *corev1.Probe) {
			if probe != nil {
				key := probeKey{p.ContainerID, kind}
				want[key] = func() { w.startProbe(key, c, probe, m) }
			}
		}
		started := m.ProbeID == p.ContainerID && m.StartupDone != nil && *m.StartupDone
		if c.StartupProbe != nil && !started {
			if !p.ReadinessOnly {
				add(probes.Startup, c.StartupProbe)
			}
			continue
		}
		add(probes.Readiness, c.ReadinessProbe)
		if !p.ReadinessOnly {
			add(probes.Liveness, c.LivenessProbe)
		}
	}
	for key, cancel := range w.probes {
		if want[key] == nil {
			cancel()
			delete(w.probes, key)
		}
	}
	for key, begin := range want {
		if w.probes[key] == nil {
			begin()
		}
	}
}

func (w *worker) stopProbes() {
	for _, cancel := range w.probes {
		cancel()
	}
}

func (w *worker) startProbe(key probeKey, c *corev1.Container, probe *corev1.Probe, m *pods.Memory) {
	ctx, cancel := context.WithCancel(w.agent.ctx)
	w.probes[key] = cancel
	if m.ProbeID != key.containerID {
		m.ProbeID, m.StartupDone, m.Ready, m.Unhealthy = key.containerID, nil, nil, nil
	}
	pod := w.planned()
	run := probes.Run{
		Prober: w.agent.prober, Clock: w.agent.config.Clock, Kind: key.kind, Probe: probe,
		Target: w.target(pod, c, key.containerID),
	}
	if o := w.observed.Newest(c.Name); o != nil {
		run.Started = o.StartedAt
	}
	run.Report = func(result probes.Result, message string, verdict *bool) {
		w.probeEvent(pod, key.kind, result, message)
		if verdict != nil {
			w.result(func() { w.probed(ctx, key, c.Name, probe, *verdict) })
		}
	}
	w.effects.Go(func() { run.Do(ctx) })
}

func (w *worker) probeEvent(pod *corev1.Pod, kind probes.Kind, result probes.Result, message string) {
	switch result {
	case probes.Warning:
		w.agent.warn(pod, eventProbeWarning, "%s probe warning: %s", kind, message)
	case probes.Failure:
		w.agent.warn(pod, eventUnhealthy, "%s probe failed: %s", kind, message)
	case probes.Errored:
		w.agent.warn(pod, eventUnhealthy, "%s probe errored and resulted in unknown state: %s", kind, message)
	}
}

// probed remembers a probe's new state, unless it was ended meanwhile.
func (w *worker) probed(ctx context.Context, key probeKey, container string, probe *corev1.Probe, passing bool) {
	m := w.state.Edit(container)
	if ctx.Err() != nil || m.ProbeID != key.containerID {
		return
	}
	switch key.kind {
	case probes.Readiness:
		m.Ready = &passing
	case probes.Startup:
		m.StartupDone = &passing
	}
	if !passing && key.kind != probes.Readiness {
		kind := "liveness"
		if key.kind == probes.Startup {
			kind = "startup"
		}
		m.Unhealthy = &pods.Unhealthy{
			Message: "Container " + container + " failed " + kind + " probe, will be restarted",
			Grace:   probe.TerminationGracePeriodSeconds,
		}
	}
}
