package podstate

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPhasesAndDeletion(t *testing.T) {
	now := metav1.Now()
	for _, tc := range []struct {
		phase                         corev1.PodPhase
		deleted                       bool
		active, terminating, finished bool
	}{
		{corev1.PodPending, false, true, false, false},
		{corev1.PodRunning, true, false, true, false},
		{corev1.PodFailed, false, false, false, true},
		{corev1.PodSucceeded, true, false, false, true},
	} {
		pod := &corev1.Pod{Status: corev1.PodStatus{Phase: tc.phase}}
		if tc.deleted {
			pod.DeletionTimestamp = &now
		}
		if Active(pod) != tc.active || Terminating(pod) != tc.terminating || Finished(pod) != tc.finished {
			t.Errorf("%s deleted=%v: active %v, terminating %v, finished %v", tc.phase, tc.deleted, Active(pod), Terminating(pod), Finished(pod))
		}
	}
}

func TestAvailable(t *testing.T) {
	now := time.Unix(1000, 0)
	pod := func(status corev1.ConditionStatus, since time.Time) *corev1.Pod {
		return &corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{
			Type: corev1.PodReady, Status: status, LastTransitionTime: metav1.NewTime(since),
		}}}}
	}
	for _, tc := range []struct {
		name string
		pod  *corev1.Pod
		min  int32
		ok   bool
		in   time.Duration
	}{
		{"no condition", &corev1.Pod{}, 0, false, 0},
		{"not ready", pod(corev1.ConditionFalse, now), 0, false, 0},
		{"ready, no minimum", pod(corev1.ConditionTrue, now), 0, true, 0},
		{"ready for too short a time", pod(corev1.ConditionTrue, now.Add(-4*time.Second)), 10, false, 6 * time.Second},
		{"ready exactly long enough", pod(corev1.ConditionTrue, now.Add(-10*time.Second)), 10, true, 0},
		{"ready since nobody knows when", pod(corev1.ConditionTrue, time.Time{}), 10, false, 0},
	} {
		if ok, in := Available(tc.pod, tc.min, now); ok != tc.ok || in != tc.in {
			t.Errorf("%s: got %v, %v; want %v, %v", tc.name, ok, in, tc.ok, tc.in)
		}
	}
}
