// Package pod answers the questions that many parts ask of a pod: is it ready,
// is it over, which quality of service has it, what does it refer to. Every
// function is pure; those that need the time are given it.
//
// The API of this package is not stable: see docs/api.md.
package pod

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// IsReady reports whether p has the condition Ready with status True.
func IsReady(p *corev1.Pod) bool {
	c := GetCondition(&p.Status, corev1.PodReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

// ReadySince returns the time at which a ready pod became so; ok is false if p is not
// ready.
func ReadySince(p *corev1.Pod) (since time.Time, ok bool) {
	c := GetCondition(&p.Status, corev1.PodReady)
	if c == nil || c.Status != corev1.ConditionTrue {
		return time.Time{}, false
	}
	return c.LastTransitionTime.Time, true
}

// Available reports whether p has been ready for minReadySeconds at the time now. If it
// is ready and not yet available, in is how long that still takes.
func Available(p *corev1.Pod, minReadySeconds int32, now time.Time) (ok bool, in time.Duration) {
	since, ready := ReadySince(p)
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

// IsTerminal reports whether p has ended for good: its phase is Failed or Succeeded.
func IsTerminal(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded
}

// IsActive reports whether p counts as a replica: it has not ended and is not being deleted.
func IsActive(p *corev1.Pod) bool {
	return !IsTerminal(p) && p.DeletionTimestamp == nil
}

// IsTerminating reports whether p is being deleted and has not ended.
func IsTerminating(p *corev1.Pod) bool {
	return !IsTerminal(p) && p.DeletionTimestamp != nil
}

// GetCondition returns the condition of type t in s, or nil. The result points into s.
func GetCondition(s *corev1.PodStatus, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range s.Conditions {
		if s.Conditions[i].Type == t {
			return &s.Conditions[i]
		}
	}
	return nil
}

// UpdateCondition puts c into s and reports whether that changed anything but
// the transition time. LastTransitionTime becomes now when the status differs
// from the one before, and stays as it was otherwise.
func UpdateCondition(s *corev1.PodStatus, c corev1.PodCondition, now time.Time) bool {
	c.LastTransitionTime = metav1.NewTime(now)
	old := GetCondition(s, c.Type)
	if old == nil {
		s.Conditions = append(s.Conditions, c)
		return true
	}
	if old.Status == c.Status {
		c.LastTransitionTime = old.LastTransitionTime
	}
	same := old.Status == c.Status && old.Reason == c.Reason && old.Message == c.Message &&
		old.ObservedGeneration == c.ObservedGeneration &&
		old.LastProbeTime.Equal(&c.LastProbeTime) && old.LastTransitionTime.Equal(&c.LastTransitionTime)
	*old = c
	return !same
}

// ContainerStatus returns the status of the container called name, be it an
// ordinary, init or ephemeral container, or nil. The result points into s.
func ContainerStatus(s *corev1.PodStatus, name string) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{s.ContainerStatuses, s.InitContainerStatuses, s.EphemeralContainerStatuses} {
		if st := FindContainerStatus(list, name); st != nil {
			return st
		}
	}
	return nil
}

// FindContainerStatus returns the status of the container called name in list, or nil.
func FindContainerStatus(list []corev1.ContainerStatus, name string) *corev1.ContainerStatus {
	for i := range list {
		if list[i].Name == name {
			return &list[i]
		}
	}
	return nil
}
