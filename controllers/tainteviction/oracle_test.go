package tainteviction

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// The deadline is the first second at which a dumb look at every taint finds
// one that the pod does not tolerate any more.
func TestDeadlineAgainstTheClock(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		pick := func(of ...string) string { return of[rng.IntN(len(of))] }
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(start.Add(-time.Duration(rng.IntN(20)) * time.Second))}}
		for range rng.IntN(4) {
			tol := corev1.Toleration{Key: pick("a", "b", ""), Value: pick("", "v"), Operator: corev1.TolerationOperator(pick("Exists", "Equal", "")), Effect: corev1.TaintEffect(pick("", "NoExecute", "NoSchedule"))}
			if rng.IntN(3) > 0 {
				tol.TolerationSeconds = ptr.To(int64(rng.IntN(30) - 2))
			}
			pod.Spec.Tolerations = append(pod.Spec.Tolerations, tol)
		}
		var taints []corev1.Taint
		for range rng.IntN(4) {
			taint := corev1.Taint{Key: pick("a", "b"), Value: pick("", "v"), Effect: corev1.TaintEffect(pick("NoExecute", "NoExecute", "NoSchedule"))}
			if rng.IntN(2) == 0 {
				taint.TimeAdded = ptr.To(metav1.NewTime(start.Add(-time.Duration(rng.IntN(40)) * time.Second)))
			}
			taints = append(taints, taint)
		}
		at, never := deadline(pod, taints, start)
		want, found := time.Time{}, false
		for s := -60; s <= 60 && !found; s++ {
			now := start.Add(time.Duration(s) * time.Second)
			for i := range taints {
				if evictedAt(pod, &taints[i], start, now) && !found {
					want, found = now, true
				}
			}
		}
		if never == found || found && !at.Equal(want) && !untoleratedNow(pod, taints, at, start) {
			t.Fatalf("seed %d: %s (never %t), want %s (%t)\n%s", seed, at, never, want, found, fmt.Sprint(pod.Spec.Tolerations, taints))
		}
	}
}

// untoleratedNow reports that a taint which is not tolerated at all ended the
// pod when it was seen, though another would have earlier.
func untoleratedNow(pod *corev1.Pod, taints []corev1.Taint, at, seen time.Time) bool {
	for i := range noExecute(taints) {
		if _, _, tolerated := toleration(pod, &noExecute(taints)[i]); !tolerated {
			return at.Equal(seen)
		}
	}
	return false
}

func evictedAt(pod *corev1.Pod, taint *corev1.Taint, seen, now time.Time) bool {
	if taint.Effect != corev1.TaintEffectNoExecute {
		return false
	}
	from := seen
	if taint.TimeAdded != nil {
		from = taint.TimeAdded.Time
		if pod.CreationTimestamp.After(from) {
			from = pod.CreationTimestamp.Time
		}
	}
	for _, tol := range pod.Spec.Tolerations {
		if tol.Effect != "" && tol.Effect != taint.Effect || tol.Key != "" && tol.Key != taint.Key {
			continue
		}
		if tol.Operator != corev1.TolerationOpExists && tol.Value != taint.Value {
			continue
		}
		return tol.TolerationSeconds != nil && !now.Before(from.Add(time.Duration(max(0, *tol.TolerationSeconds))*time.Second))
	}
	return !now.Before(seen)
}
