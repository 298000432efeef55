package ttlafterfinished

import (
	"math/rand/v2"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// A Job goes at the first second that is its TTL after the end in its status.
func TestExpiryAgainstTheClock(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 1))
		j := &batchv1.Job{}
		if rng.IntN(4) > 0 {
			j.Spec.TTLSecondsAfterFinished = ptr.To(int32(rng.IntN(30)))
		}
		if rng.IntN(5) == 0 {
			j.DeletionTimestamp = ptr.To(metav1.NewTime(start))
		}
		ended := time.Duration(-1)
		for _, kind := range []batchv1.JobConditionType{batchv1.JobSuspended, batchv1.JobFailureTarget, batchv1.JobFailed, batchv1.JobComplete} {
			at := time.Duration(rng.IntN(20)) * time.Second
			status := []corev1.ConditionStatus{corev1.ConditionTrue, corev1.ConditionFalse}[rng.IntN(2)]
			if rng.IntN(2) == 0 {
				continue
			}
			j.Status.Conditions = append(j.Status.Conditions, batchv1.JobCondition{Type: kind, Status: status, LastTransitionTime: metav1.NewTime(start.Add(at))})
			if ended < 0 && status == corev1.ConditionTrue && (kind == batchv1.JobFailed || kind == batchv1.JobComplete) {
				ended = at
			}
		}
		at, ok := Expiry(j)
		for s := range 60 {
			now := start.Add(time.Duration(s) * time.Second)
			want := ended >= 0 && j.Spec.TTLSecondsAfterFinished != nil && j.DeletionTimestamp == nil &&
				now.Sub(start.Add(ended)) >= time.Duration(*j.Spec.TTLSecondsAfterFinished)*time.Second
			if got := ok && !at.After(now); got != want {
				t.Fatalf("seed %d after %d s: %t, want %t: %+v", seed, s, got, want, j)
			}
		}
	}
}
