package simulated

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/nodeagent/pods"
)

// Annotations of pods that end by themselves.
const (
	ExitAfterAnnotation      = "coracle.dev/simulated-exit-after"
	ExitCodeAnnotation       = "coracle.dev/simulated-exit-code"
	FailingIndexesAnnotation = "coracle.dev/simulated-failing-indexes"
)

// exit is the end that a pod's annotations ask for.
type exit struct {
	after time.Duration
	code  int32
}

func exitOf(pod *corev1.Pod) (exit, bool) {
	after, err := time.ParseDuration(pod.Annotations[ExitAfterAnnotation])
	if err != nil || after < 0 {
		return exit{}, false
	}
	code, err := strconv.ParseInt(pod.Annotations[ExitCodeAnnotation], 10, 32)
	if err != nil {
		code = 0
	}
	index, indexed := pod.Annotations[batchv1.JobCompletionIndexAnnotation]
	if code == 0 && indexed && slices.Contains(strings.Split(pod.Annotations[FailingIndexesAnnotation], ","), index) {
		code = 1
	}
	return exit{after: after, code: int32(code)}, true
}

// terminal reports whether a pod with that phase is over.
func terminal(phase corev1.PodPhase) bool {
	return phase == corev1.PodSucceeded || phase == corev1.PodFailed
}

// statusOf returns the status that a pod not being deleted should have and when
// that will change by itself (zero: never). podIP and hostIP are the addresses
// to show.
func statusOf(pod *corev1.Pod, podIP, hostIP string, instant time.Time) (corev1.PodStatus, time.Time) {
	status := *pod.Status.DeepCopy()
	// The API keeps whole seconds; comparisons with due times need the instant.
	now := metav1.NewTime(instant.Truncate(time.Second))
	if terminal(status.Phase) {
		return status, time.Time{}
	}
	status.ObservedGeneration = pod.Generation
	status.Phase = corev1.PodRunning
	status.HostIP, status.HostIPs = hostIP, []corev1.HostIP{{IP: hostIP}}
	status.PodIP, status.PodIPs = podIP, []corev1.PodIP{{IP: podIP}}
	status.QOSClass = podapi.QOSClass(pod)
	if status.StartTime == nil {
		status.StartTime = &now
	}
	status.InitContainerStatuses = containerStatuses(pod, pod.Spec.InitContainers, pod.Status.InitContainerStatuses, true, now)
	status.ContainerStatuses = containerStatuses(pod, pod.Spec.Containers, pod.Status.ContainerStatuses, false, now)
	next := applyExit(pod, &status, instant)
	status.Conditions = pods.Conditions(pod, &status, !terminal(status.Phase), now)
	return status, next
}

func containerStatuses(pod *corev1.Pod, containers []corev1.Container, old []corev1.ContainerStatus, init bool, now metav1.Time) []corev1.ContainerStatus {
	if len(containers) == 0 {
		return nil
	}
	out := make([]corev1.ContainerStatus, len(containers))
	for i := range containers {
		c := &containers[i]
		s := &out[i]
		for k := range old {
			if old[k].Name == c.Name {
				*s = *old[k].DeepCopy()
			}
		}
		s.Name, s.Image, s.ImageID = c.Name, c.Image, "simulated://"+c.Image
		if s.ContainerID == "" {
			s.ContainerID = containerID(pod, c.Name, 0)
		}
		s.Ready = true
		s.AllocatedResources = c.Resources.Requests
		s.Resources = &corev1.ResourceRequirements{Requests: c.Resources.Requests, Limits: c.Resources.Limits}
		running := !init || pods.IsSidecar(c)
		s.Started = &running
		if running && s.State.Running == nil {
			s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}
		}
		if !running && s.State.Terminated == nil {
			s.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				Reason: "Completed", StartedAt: now, FinishedAt: now, ContainerID: s.ContainerID,
			}}
		}
	}
	return out
}

func containerID(pod *corev1.Pod, container string, restarts int32) string {
	return fmt.Sprintf("simulated://%s/%s/%d", pod.UID, container, restarts)
}

// applyExit ends containers whose time has come, and restarts them or ends the
// pod by its restart policy.
func applyExit(pod *corev1.Pod, status *corev1.PodStatus, instant time.Time) time.Time {
	e, ok := exitOf(pod)
	if !ok || len(status.ContainerStatuses) == 0 {
		return time.Time{}
	}
	due := status.ContainerStatuses[0].State.Running.StartedAt.Add(e.after)
	if instant.Before(due) {
		return due
	}
	now := metav1.NewTime(instant.Truncate(time.Second))
	restart := pod.Spec.RestartPolicy == corev1.RestartPolicyAlways ||
		pod.Spec.RestartPolicy == corev1.RestartPolicyOnFailure && e.code != 0
	for i := range status.ContainerStatuses {
		endContainer(pod, &status.ContainerStatuses[i], e.code, restart, now)
	}
	if restart {
		return instant.Add(max(e.after, time.Second))
	}
	for i := range status.InitContainerStatuses {
		if s := &status.InitContainerStatuses[i]; s.State.Running != nil {
			endContainer(pod, s, 0, false, now)
		}
	}
	status.Phase = corev1.PodSucceeded
	if e.code != 0 {
		status.Phase = corev1.PodFailed
	}
	return time.Time{}
}

// sigterm is the exit code of a process that a signal to end has ended.
const sigterm = 128 + 15

// stopped returns the status of a pod whose containers got SIGTERM.
func stopped(pod *corev1.Pod, instant time.Time) corev1.PodStatus {
	status, now := *pod.Status.DeepCopy(), metav1.NewTime(instant.Truncate(time.Second))
	for _, list := range [][]corev1.ContainerStatus{status.InitContainerStatuses, status.ContainerStatuses} {
		for i := range list {
			if list[i].State.Running != nil {
				endContainer(pod, &list[i], sigterm, false, now)
			}
		}
	}
	status.Phase = corev1.PodFailed
	status.Conditions = pods.Conditions(pod, &status, false, now)
	return status
}

func endContainer(pod *corev1.Pod, s *corev1.ContainerStatus, code int32, restart bool, now metav1.Time) {
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: code, Reason: "Completed",
		StartedAt: s.State.Running.StartedAt, FinishedAt: now, ContainerID: s.ContainerID,
	}}
	if code != 0 {
		ended.Terminated.Reason = "Error"
	}
	if restart {
		s.RestartCount++
		s.LastTerminationState = ended
		s.ContainerID = containerID(pod, s.Name, s.RestartCount)
		s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}
		return
	}
	started := false
	s.State, s.Ready, s.Started = ended, false, &started
}
