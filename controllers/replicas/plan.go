package replicas

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

// Burst is how many pods one reconcile creates or deletes at most, so that one
// huge object does not hold a worker for long.
const Burst = 1000

// Observed holds what a reconcile has read of one object and its pods.
type Observed struct {
	// Set is the object.
	Set *appsv1.ReplicaSet
	// Pods are the pods it owns.
	Pods []*corev1.Pod
	// Related are the pods whose nodes victims should be taken from first; those
	// of its siblings and its own.
	Related []*corev1.Pod
	// Settled is set if the cache shows all earlier creations and deletions.
	Settled bool
}

// Plan holds the actions on the pods.
type Plan struct {
	// Create is how many pods to create.
	Create int
	// Delete are the pods to delete, least missed first.
	Delete []*corev1.Pod
}

// plan compares what is with what should be.
func plan(o Observed, now time.Time) Plan {
	if !o.Settled || o.Set.DeletionTimestamp != nil {
		return Plan{}
	}
	active := activePods(o.Pods)
	diff := len(active) - int(ptr.Deref(o.Set.Spec.Replicas, 1))
	switch {
	case diff < 0:
		return Plan{Create: min(-diff, Burst)}
	case diff > 0:
		return Plan{Delete: Victims(active, o.Related, min(diff, Burst), now)}
	default:
		return Plan{}
	}
}

// Surplus reports whether the object has more active pods than it wants.
func (o Observed) Surplus() bool {
	return len(activePods(o.Pods)) > int(ptr.Deref(o.Set.Spec.Replicas, 1))
}

func activePods(pods []*corev1.Pod) []*corev1.Pod {
	active := make([]*corev1.Pod, 0, len(pods))
	for _, p := range pods {
		if podapi.IsActive(p) {
			active = append(active, p)
		}
	}
	return active
}

// MakeStatus returns the status to report, and after how long it has to be
// looked at again because a pod will have become available (0: never). failure
// holds the error of carrying out the plan, nil if there was none.
func MakeStatus(o Observed, failure error, now time.Time) (status appsv1.ReplicaSetStatus, again time.Duration) {
	set := o.Set
	status = *set.Status.DeepCopy()
	status.ObservedGeneration = set.Generation
	status.Replicas, status.FullyLabeledReplicas, status.ReadyReplicas, status.AvailableReplicas = 0, 0, 0, 0
	template := labels.SelectorFromSet(set.Spec.Template.Labels)
	terminating := int32(0)
	for _, p := range o.Pods {
		if podapi.IsTerminating(p) {
			terminating++
		}
		if !podapi.IsActive(p) {
			continue
		}
		status.Replicas++
		if template.Matches(labels.Set(p.Labels)) {
			status.FullyLabeledReplicas++
		}
		if podapi.IsReady(p) {
			status.ReadyReplicas++
		}
		available, in := podapi.Available(p, set.Spec.MinReadySeconds, now)
		if available {
			status.AvailableReplicas++
		} else if in > 0 && (again == 0 || in < again) {
			again = in
		}
	}
	status.TerminatingReplicas = &terminating
	status.Conditions = failureCondition(status, ptr.Deref(set.Spec.Replicas, 1), failure, now)
	return status, again
}

// failureCondition keeps the time and the words of the first failure of a row,
// as upstream does, so that a repeated failure causes no write.
func failureCondition(status appsv1.ReplicaSetStatus, want int32, failure error, now time.Time) []appsv1.ReplicaSetCondition {
	var others []appsv1.ReplicaSetCondition
	for _, c := range status.Conditions {
		if c.Type != appsv1.ReplicaSetReplicaFailure {
			others = append(others, c)
		} else if failure != nil {
			return status.Conditions
		}
	}
	if failure == nil {
		return others
	}
	reason := ""
	switch {
	case status.Replicas < want:
		reason = "FailedCreate"
	case status.Replicas > want:
		reason = "FailedDelete"
	}
	return append(others, appsv1.ReplicaSetCondition{
		Type:               appsv1.ReplicaSetReplicaFailure,
		Status:             corev1.ConditionTrue,
		LastTransitionTime: metav1.NewTime(now),
		Reason:             reason,
		Message:            failure.Error(),
	})
}

// StatusChanged reports whether writing status would change anything.
func StatusChanged(set *appsv1.ReplicaSet, status appsv1.ReplicaSetStatus) bool {
	return !apiequality.Semantic.DeepEqual(set.Status, status)
}
