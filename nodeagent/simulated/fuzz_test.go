package simulated

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FuzzExit reads the annotations of pods that end by themselves.
func FuzzExit(f *testing.F) {
	for _, c := range [][3]string{{"1s", "0", "1,2"}, {"-1s", "1", ""}, {"", "", ","}, {"9999999h", "99999999999", "0"}, {"1", "x", " 0"}} {
		f.Add(c[0], c[1], c[2], "0")
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, after, code, failing, index string) {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
			ExitAfterAnnotation: after, ExitCodeAnnotation: code, FailingIndexesAnnotation: failing, batchv1.JobCompletionIndexAnnotation: index,
		}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a"}}}}
		if e, ok := exitOf(pod); ok && e.after < 0 {
			t.Errorf("%q ends after %v", after, e.after)
		}
		if status, at := statusOf(pod, "10.0.0.1", "10.0.0.2", now); !at.IsZero() && at.Before(now) && !terminal(status.Phase) {
			t.Errorf("%q changed at %v", after, at)
		}
	})
}
