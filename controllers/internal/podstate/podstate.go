// Package podstate answers the questions that every workload controller asks
// about a pod.
package podstate

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Active reports whether the pod counts towards its controller's replicas: it
// has neither finished nor been asked to go.
func Active(pod *corev1.Pod) bool {
	return !Finished(pod) && pod.DeletionTimestamp == nil
}

// Terminating reports whether the pod was asked to go and has not finished.
func Terminating(pod *corev1.Pod) bool {
	return !Finished(pod) && pod.DeletionTimestamp != nil
}

// Finished reports whether the pod's phase is final.
func Finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// Condition returns the pod's condition of a type, nil when it has none.
func Condition(pod *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == t {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// Ready reports whether the pod's Ready condition is True.
func Ready(pod *corev1.Pod) bool {
	c := Condition(pod, corev1.PodReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

// ReadySince returns the time at which a ready pod became so.
func ReadySince(pod *corev1.Pod) (time.Time, bool) {
	c := Condition(pod, corev1.PodReady)
	if c == nil || c.Status != corev1.ConditionTrue {
		return time.Time{}, false
	}
	return c.LastTransitionTime.Time, true
}

// Available reports whether the pod has been ready for minReadySeconds at now.
// When it is ready but not yet available, it returns how long that still takes.
func Available(pod *corev1.Pod, minReadySeconds int32, now time.Time) (ok bool, in time.Duration) {
	since, ready := ReadySince(pod)
	if !ready {
		return false, 0
	}
	if minReadySeconds == 0 {
		return true, 0
	}
	if since.IsZero() {
		return false, 0
	}
	in = since.Add(time.Duration(minReadySeconds) * time.Second).Sub(now)
	return in <= 0, max(in, 0)
}
