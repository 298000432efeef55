package nodeagent

import (
	corev1 "k8s.io/api/core/v1"
)

// Reasons of events about pods, as the kubelet's users know them.
const (
	eventFailed           = "Failed"
	eventKilling          = "Killing"
	eventBackOff          = "BackOff"
	eventFailedSandbox    = "FailedCreatePodSandBox"
	eventSandboxChanged   = "SandboxChanged"
	eventFailedClaims     = "FailedPrepareDynamicResources"
	eventFailedMount      = "FailedMount"
	eventFailedPostStart  = "FailedPostStartHook"
	eventFailedPreStop    = "FailedPreStopHook"
	eventUnhealthy        = "Unhealthy"
	eventProbeWarning     = "ProbeWarning"
	eventFailedKill       = "FailedKillPod"
	eventResizeCompleted  = "ResizeCompleted"
	eventResizeStarted    = "ResizeStarted"
	eventResizeDeferred   = "ResizeDeferred"
	eventResizeInfeasible = "ResizeInfeasible"
	eventResizeError      = "ResizeError"
	eventDeadlineExceeded = "DeadlineExceeded"
)

func (a *Agent) normal(pod *corev1.Pod, reason, format string, args ...any) {
	a.config.Recorder.Eventf(pod, corev1.EventTypeNormal, reason, format, args...)
}

func (a *Agent) warn(pod *corev1.Pod, reason, format string, args ...any) {
	a.config.Recorder.Eventf(pod, corev1.EventTypeWarning, reason, format, args...)
}
