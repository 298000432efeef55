package statefulset

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

// makeStatus counts the pods, and sets when the next of them becomes available.
func (p *planner) makeStatus() appsv1.StatefulSetStatus {
	s := appsv1.StatefulSetStatus{
		ObservedGeneration: p.Set.Generation,
		CurrentRevision:    p.Current.Name,
		UpdateRevision:     p.Update.Name,
		CollisionCount:     ptr.To(p.Collisions),
		Conditions:         p.Set.Status.Conditions,
	}
	for _, r := range slices.Concat(p.replicas, p.condemned) {
		if r.pod != nil {
			p.count(&s, r.pod)
		}
	}
	s.CurrentReplicas -= p.updating
	size := int32(sizeOf(p.Set))
	if s.UpdatedReplicas == size && s.ReadyReplicas == size && s.Replicas == size {
		s.CurrentReplicas = s.UpdatedReplicas
		s.CurrentRevision = s.UpdateRevision
	}
	return s
}

func (p *planner) count(s *appsv1.StatefulSetStatus, pod *corev1.Pod) {
	s.Replicas++
	if pod.Status.Phase == corev1.PodRunning && podapi.IsReady(pod) {
		s.ReadyReplicas++
		available, in := podapi.Available(pod, p.Set.Spec.MinReadySeconds, p.now)
		if available {
			s.AvailableReplicas++
		} else if in > 0 && (p.plan.RequeueAfter == 0 || in < p.plan.RequeueAfter) {
			p.plan.RequeueAfter = in
		}
	}
	if pod.DeletionTimestamp != nil {
		return
	}
	if revisionOf(pod) == p.Current.Name {
		s.CurrentReplicas++
	}
	if revisionOf(pod) == p.Update.Name {
		s.UpdatedReplicas++
	}
}
