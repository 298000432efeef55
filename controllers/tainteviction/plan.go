package tainteviction

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

// deadline returns when the pod has to go because of the node's NoExecute
// taints. never is true if it may stay. seen is when the taints were first seen
// on the pod's node, for those without the time when they were added.
func deadline(pod *corev1.Pod, taints []corev1.Taint, seen time.Time) (at time.Time, never bool) {
	never = true
	for i := range taints {
		if taints[i].Effect != corev1.TaintEffectNoExecute {
			continue
		}
		limit, forever, tolerated := toleration(pod, &taints[i])
		switch {
		case !tolerated:
			return seen, false
		case forever:
			continue
		}
		end := start(pod, &taints[i], seen).Add(limit)
		if never || end.Before(at) {
			at, never = end, false
		}
	}
	return at, never
}

// toleration returns for how long the pod tolerates the taint. Of several
// tolerations that match, the first counts, as upstream has it.
func toleration(pod *corev1.Pod, taint *corev1.Taint) (limit time.Duration, forever, tolerated bool) {
	for i := range pod.Spec.Tolerations {
		t := &pod.Spec.Tolerations[i]
		if !tolerates(t, taint) {
			continue
		}
		if t.TolerationSeconds == nil {
			return 0, true, true
		}
		return podapi.Seconds(max(0, *t.TolerationSeconds)), false, true
	}
	return 0, false, false
}

// tolerates reports whether t tolerates the taint, by the rule of NoExecute taints:
// their operators are Exists and Equal.
// https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration
func tolerates(t *corev1.Toleration, taint *corev1.Taint) bool {
	if t.Effect != "" && t.Effect != taint.Effect || t.Key != "" && t.Key != taint.Key {
		return false
	}
	switch t.Operator {
	case corev1.TolerationOpExists:
		return true
	case "", corev1.TolerationOpEqual:
		return t.Value == taint.Value
	}
	return false
}

func start(pod *corev1.Pod, taint *corev1.Taint, seen time.Time) time.Time {
	if taint.TimeAdded == nil {
		return seen
	}
	from := taint.TimeAdded.Time
	if began := podStart(pod); began.After(from) {
		from = began
	}
	return from
}

func podStart(pod *corev1.Pod) time.Time {
	if pod.Status.StartTime != nil {
		return pod.Status.StartTime.Time
	}
	return pod.CreationTimestamp.Time
}

// concerns reports whether the pod can be evicted at all: it is bound and not
// being deleted. Finished pods are evicted too, as upstream has it.
func concerns(pod *corev1.Pod) bool {
	return pod.Spec.NodeName != "" && pod.DeletionTimestamp == nil
}

// noExecute returns the taints that concern running pods.
func noExecute(taints []corev1.Taint) []corev1.Taint {
	var out []corev1.Taint
	for i := range taints {
		if taints[i].Effect == corev1.TaintEffectNoExecute {
			out = append(out, taints[i])
		}
	}
	return out
}
