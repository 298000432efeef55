package tainteviction

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A pod is evicted whatever its phase is.
func TestFinishedPodsAreEvicted(t *testing.T) {
	for _, phase := range []corev1.PodPhase{"", corev1.PodPending, corev1.PodRunning, corev1.PodSucceeded, corev1.PodFailed, corev1.PodUnknown} {
		pod := &corev1.Pod{Spec: corev1.PodSpec{NodeName: "n"}, Status: corev1.PodStatus{Phase: phase}}
		if !concerns(pod) {
			t.Errorf("a pod of phase %q stays", phase)
		}
		unbound, deleted := pod.DeepCopy(), pod.DeepCopy()
		unbound.Spec.NodeName, deleted.DeletionTimestamp = "", &metav1.Time{}
		if concerns(unbound) || concerns(deleted) {
			t.Errorf("a pod of phase %q that is not bound, or is being deleted, is evicted", phase)
		}
	}
}

// A toleration of more seconds than a Duration holds is not over at once.
func TestLongTolerations(t *testing.T) {
	for _, seconds := range []int64{1 << 40, 1<<63 - 1} {
		pod := &corev1.Pod{Spec: corev1.PodSpec{Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists, TolerationSeconds: &seconds}}}}
		limit, forever, tolerated := toleration(pod, &corev1.Taint{Key: "a", Effect: corev1.TaintEffectNoExecute})
		if !tolerated || !forever && limit <= 0 {
			t.Errorf("%d seconds last %v", seconds, limit)
		}
	}
}
