package statefulset

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// partition returns how many pods at the front an update leaves alone.
func partition(set *appsv1.StatefulSet) int {
	if ru := set.Spec.UpdateStrategy.RollingUpdate; ru != nil {
		return int(ptr.Deref(ru.Partition, 0))
	}
	return 0
}

// budget returns how many pods an update may make unavailable, at least 1.
// Percentages are rounded down.
func budget(set *appsv1.StatefulSet) int {
	ru := set.Spec.UpdateStrategy.RollingUpdate
	if ru == nil || ru.MaxUnavailable == nil {
		return 1
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(ru.MaxUnavailable, sizeOf(set), false)
	if err != nil {
		// Validation rejects what does not parse.
		return 1
	}
	return max(n, 1)
}

// update deletes pods of another than the update revision, the highest first, for keep to
// make them again. Pods that are unavailable already use up the budget; a Parallel set may
// replace those of the old revision whatever the budget, for nothing is lost with them.
func (p *planner) update() {
	room := budget(p.Set)
	var candidates []*corev1.Pod
	for i, r := range slices.Backward(p.replicas) {
		unavailable := p.unavailable(r)
		if unavailable {
			room--
		}
		if i < partition(p.Set) || r.pod == nil || revisionOf(r.pod) == p.Update.Name || p.terminating(r.pod) {
			continue
		}
		if unavailable && !p.ordered {
			p.replace(r.pod)
			continue
		}
		candidates = append(candidates, r.pod)
	}
	for _, pod := range candidates[:max(0, min(room, len(candidates)))] {
		p.replace(pod)
	}
}

func (p *planner) replace(pod *corev1.Pod) {
	if revisionOf(pod) == p.Current.Name {
		p.updating++
	}
	p.delete(pod)
}
