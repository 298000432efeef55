package deployment

import (
	appsv1 "k8s.io/api/apps/v1"
)

// newSize returns how many pods the new set may have now.
func (r *rollout) newSize() int32 {
	current := size(r.newSet)
	if r.d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return r.want()
	}
	room := r.want() + r.surge - sum(r.old, size) - current
	if room <= 0 {
		return current
	}
	return current + min(room, r.want()-current)
}

// growNew brings the new set towards its size, or down to it.
func (r *rollout) growNew() {
	to := r.newSize()
	if size(r.newSet) > r.want() {
		to = r.want()
	}
	if to != size(r.newSet) {
		r.resize(r.newSet, to)
	}
}

// shrinkOld takes pods away from old sets: as many as leaves the minimum
// available even if none of the new pods that are on their way arrives.
// Unhealthy pods go first, which costs no availability.
func (r *rollout) shrinkOld() {
	if sum(r.old, size) == 0 {
		return
	}
	minimum := r.want() - r.unavailable
	arriving := size(r.newSet) - surviving(r.newSet)
	budget := sum(r.all(), size) - minimum - arriving
	if budget <= 0 {
		return
	}
	for _, s := range r.old {
		if n := min(budget, size(s)-s.Status.AvailableReplicas); n > 0 {
			r.resize(s, size(s)-n)
			budget -= n
		}
	}
	surplus := sum(r.all(), surviving) - minimum
	for _, s := range r.old {
		if n := min(surplus, size(s)); n > 0 {
			r.resize(s, size(s)-n)
			surplus -= n
		}
	}
}

// surviving returns how many available pods a set has left once its controller has acted
// on its size. Its status alone may still count pods that were taken away a moment ago.
func surviving(s *appsv1.ReplicaSet) int32 { return min(s.Status.AvailableReplicas, size(s)) }

// recreate stops every old pod before it starts a new one.
func (r *rollout) recreate() {
	r.syncRevision()
	if old := active(r.old); len(old) > 0 {
		for _, s := range old {
			r.resize(s, 0)
		}
		return
	}
	if r.oldPodsLeft() {
		return
	}
	r.ensureNewSet()
	r.growNew()
}

// oldPodsLeft asks the status of the old sets, whose controller writes how many
// pods are terminating in the same write that drops them from replicas.
func (r *rollout) oldPodsLeft() bool {
	for _, s := range r.old {
		if s.Status.Replicas > 0 || terminatingOf(s) > 0 || s.Status.ObservedGeneration < s.Generation {
			return true
		}
	}
	return false
}
