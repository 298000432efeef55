package pods

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Reasons of pod conditions, as the kubelet writes them.
const (
	reasonContainersNotReady       = "ContainersNotReady"
	reasonContainersNotInitialized = "ContainersNotInitialized"
	reasonReadinessGatesNotReady   = "ReadinessGatesNotReady"
	reasonUnknownContainerStatuses = "UnknownContainerStatuses"
	reasonPodCompleted             = "PodCompleted"
	reasonPodFailed                = "PodFailed"
)

// kubeletConditions are the types this package writes; it leaves every other one alone.
var kubeletConditions = [...]corev1.PodConditionType{
	corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady,
	corev1.ContainersReady, corev1.PodScheduled,
}

// OwnCondition reports whether the node alone writes conditions of that type.
func OwnCondition(t corev1.PodConditionType) bool {
	return slices.Contains(kubeletConditions[:], t) || t == corev1.PodResizePending || t == corev1.PodResizeInProgress
}

// Conditions returns the pod's conditions for a status whose phase and container
// statuses are already set: the node's own types first, computed again, then
// those of other writers (DisruptionTarget, readiness gates) untouched.
// lastTransitionTime moves only when a condition's status does.
func Conditions(pod *corev1.Pod, status *corev1.PodStatus, sandboxReady bool, now metav1.Time) []corev1.PodCondition {
	containersReady := containersReadyCondition(pod, status)
	fresh := []corev1.PodCondition{
		{Type: corev1.PodReadyToStartContainers, Status: boolStatus(sandboxReady)},
		initializedCondition(pod, status),
		readyCondition(pod, status.Conditions, containersReady),
		containersReady,
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
	}
	out := make([]corev1.PodCondition, 0, len(fresh)+1)
	for _, c := range fresh {
		c.ObservedGeneration = pod.Generation
		c.LastTransitionTime = now
		if old := findCondition(status.Conditions, c.Type); old != nil {
			c.LastProbeTime = old.LastProbeTime
			if old.Status == c.Status {
				c.LastTransitionTime = old.LastTransitionTime
			}
		}
		out = append(out, c)
	}
	for _, c := range status.Conditions {
		if !slices.Contains(kubeletConditions[:], c.Type) {
			out = append(out, c)
		}
	}
	return out
}

func containersReadyCondition(pod *corev1.Pod, status *corev1.PodStatus) corev1.PodCondition {
	c := corev1.PodCondition{Type: corev1.ContainersReady, Status: corev1.ConditionFalse}
	switch {
	case status.Phase == corev1.PodSucceeded:
		c.Reason = reasonPodCompleted
		return c
	case status.Phase == corev1.PodFailed:
		c.Reason = reasonPodFailed
		return c
	case status.ContainerStatuses == nil:
		c.Reason = reasonUnknownContainerStatuses
		return c
	}
	var unknown, unready []string
	note := func(name string, statuses []corev1.ContainerStatus) {
		if s := findStatus(statuses, name); s == nil {
			unknown = append(unknown, name)
		} else if !s.Ready {
			unready = append(unready, name)
		}
	}
	for i := range pod.Spec.InitContainers {
		if IsSidecar(&pod.Spec.InitContainers[i]) {
			note(pod.Spec.InitContainers[i].Name, status.InitContainerStatuses)
		}
	}
	for i := range pod.Spec.Containers {
		note(pod.Spec.Containers[i].Name, status.ContainerStatuses)
	}
	return conclude(c, reasonContainersNotReady, "unready", unknown, unready)
}

// conclude makes c true, or false with the names of those that stand in its way.
func conclude(c corev1.PodCondition, reason, word string, unknown, unready []string) corev1.PodCondition {
	var messages []string
	if len(unknown) > 0 {
		messages = append(messages, fmt.Sprintf("containers with unknown status: %s", unknown))
	}
	if len(unready) > 0 {
		messages = append(messages, fmt.Sprintf("containers with %s status: %s", word, unready))
	}
	if len(messages) > 0 {
		c.Reason, c.Message = reason, strings.Join(messages, ", ")
		return c
	}
	c.Status = corev1.ConditionTrue
	return c
}

func initializedCondition(pod *corev1.Pod, status *corev1.PodStatus) corev1.PodCondition {
	c := corev1.PodCondition{Type: corev1.PodInitialized, Status: corev1.ConditionFalse}
	switch {
	case len(pod.Spec.InitContainers) == 0:
		c.Status = corev1.ConditionTrue
		return c
	case status.InitContainerStatuses == nil:
		c.Reason = reasonUnknownContainerStatuses
		return c
	case status.Phase == corev1.PodSucceeded:
		c.Status, c.Reason = corev1.ConditionTrue, reasonPodCompleted
		return c
	case anyStarted(status.ContainerStatuses):
		// Once an ordinary container ran, initialization is over for good, even if
		// a sidecar is restarting.
		c.Status = corev1.ConditionTrue
		return c
	}
	var unknown, incomplete []string
	for i := range pod.Spec.InitContainers {
		container := &pod.Spec.InitContainers[i]
		s := findStatus(status.InitContainerStatuses, container.Name)
		switch {
		case s == nil:
			unknown = append(unknown, container.Name)
		case IsSidecar(container):
			if s.Started == nil || !*s.Started {
				incomplete = append(incomplete, container.Name)
			}
		case !s.Ready:
			incomplete = append(incomplete, container.Name)
		}
	}
	return conclude(c, reasonContainersNotInitialized, "incomplete", unknown, incomplete)
}

func readyCondition(pod *corev1.Pod, existing []corev1.PodCondition, containersReady corev1.PodCondition) corev1.PodCondition {
	c := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionFalse}
	if containersReady.Status != corev1.ConditionTrue {
		c.Reason, c.Message = containersReady.Reason, containersReady.Message
		return c
	}
	var messages []string
	for _, gate := range pod.Spec.ReadinessGates {
		switch cond := findCondition(existing, gate.ConditionType); {
		case cond == nil:
			messages = append(messages, fmt.Sprintf("corresponding condition of pod readiness gate %q does not exist.", gate.ConditionType))
		case cond.Status != corev1.ConditionTrue:
			messages = append(messages, fmt.Sprintf("the status of pod readiness gate %q is not \"True\", but %v", gate.ConditionType, cond.Status))
		}
	}
	if len(messages) > 0 {
		c.Reason, c.Message = reasonReadinessGatesNotReady, strings.Join(messages, ", ")
		return c
	}
	c.Status = corev1.ConditionTrue
	return c
}

func anyStarted(statuses []corev1.ContainerStatus) bool {
	return slices.ContainsFunc(statuses, func(s corev1.ContainerStatus) bool {
		return s.State.Running != nil || s.State.Terminated != nil || s.LastTerminationState.Terminated != nil
	})
}

// IsSidecar reports whether an init container is a restartable one.
func IsSidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

func boolStatus(b bool) corev1.ConditionStatus {
	if b {
		return corev1.ConditionTrue
	}
	return corev1.ConditionFalse
}

func findCondition(conditions []corev1.PodCondition, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range conditions {
		if conditions[i].Type == t {
			return &conditions[i]
		}
	}
	return nil
}

func findStatus(statuses []corev1.ContainerStatus, name string) *corev1.ContainerStatus {
	for i := range statuses {
		if statuses[i].Name == name {
			return &statuses[i]
		}
	}
	return nil
}
