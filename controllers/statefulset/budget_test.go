package statefulset

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// TestNoPlanExceedsTheBudget lets readiness of pods change at random during updates:
// whatever a plan sees, it deletes available pods only as far as maxUnavailable leaves
// room beside those that are unavailable already.
func TestNoPlanExceedsTheBudget(t *testing.T) {
	deleted := 0
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		w := newWorld(int32(3 + r.IntN(5)))
		most := 1 + r.IntN(3)
		w.set.Spec.UpdateStrategy.RollingUpdate.MaxUnavailable = ptr.To(intstr.FromInt32(int32(most)))
		w.set.Spec.UpdateStrategy.RollingUpdate.Partition = ptr.To(int32(r.IntN(3)))
		if r.IntN(2) == 0 {
			w.set.Spec.PodManagementPolicy = appsv1.ParallelPodManagement
		}
		w.settle()
		for version := 2; version < 5; version++ {
			w.image(fmt.Sprintf("v%d", version))
			for range 40 {
				flip(w, r)
				w.now = w.now.Add(time.Second)
				unavailable, loses := 0, 0
				p := newPlanner(w.observed(), w.now)
				for _, place := range p.replicas {
					if p.unavailable(place) {
						unavailable++
					}
				}
				for _, pod := range plan(w.observed(), w.now).Delete {
					if p.available(pod) {
						loses++
					}
				}
				if loses > max(0, most-unavailable) {
					t.Fatalf("seed %d: %d available pods are deleted, %d of %d are unavailable already\n%s", seed, loses, unavailable, most, w.log.String())
				}
				deleted += loses
				w.reconcile()
				if r.IntN(3) > 0 {
					w.run()
				}
			}
		}
	}
	if deleted < 1000 {
		t.Errorf("only %d pods were deleted: nothing was tried", deleted)
	}
}

// flip changes the readiness of a running pod now and then.
func flip(w *world, r *rand.Rand) {
	if len(w.pods) == 0 {
		return
	}
	pod := w.pods[r.IntN(len(w.pods))]
	if pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil || len(pod.Status.Conditions) == 0 {
		return
	}
	switch r.IntN(4) {
	case 0:
		w.ready(pod.Name, corev1.ConditionFalse)
	case 1, 2:
		w.ready(pod.Name, corev1.ConditionTrue)
	}
}
