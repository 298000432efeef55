package deployment

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// Condition reasons, as upstream's.
const (
	reasonNewSetCreated   = "NewReplicaSetCreated"
	reasonFoundNewSet     = "FoundNewReplicaSet"
	reasonSetUpdated      = "ReplicaSetUpdated"
	reasonNewSetAvailable = "NewReplicaSetAvailable"
	reasonSetCreateError  = "ReplicaSetCreateError"
	reasonTimedOut        = "ProgressDeadlineExceeded"
	reasonPaused          = "DeploymentPaused"
	reasonResumed         = "DeploymentResumed"
	reasonAvailable       = "MinimumReplicasAvailable"
	reasonUnavailable     = "MinimumReplicasUnavailable"
)

// noDeadline is the value of progressDeadlineSeconds that means none.
const noDeadline = int32(1<<31 - 1)

// deadline returns how long a Deployment may go without progress, 0 for ever.
func (r *rollout) deadline() time.Duration {
	s := r.d.Spec.ProgressDeadlineSeconds
	if s == nil || *s == noDeadline {
		return 0
	}
	return time.Duration(*s) * time.Second
}

// countStatus sums up the sets and judges availability.
func (r *rollout) countStatus() {
	all := r.all()
	s := &r.status
	s.ObservedGeneration = r.d.Generation
	s.Replicas = sum(all, actualOf)
	s.UpdatedReplicas = 0
	if r.newSet != nil {
		s.UpdatedReplicas = r.newSet.Status.Replicas
	}
	s.ReadyReplicas = sum(all, readyOf)
	s.AvailableReplicas = sum(all, availableOf)
	s.UnavailableReplicas = max(0, sum(all, size)-s.AvailableReplicas)
	s.TerminatingReplicas = ptr.To(sum(all, terminatingOf))
	if s.AvailableReplicas >= r.want()-r.unavailable {
		r.setCondition(appsv1.DeploymentAvailable, corev1.ConditionTrue, reasonAvailable, "Deployment has minimum availability.")
	} else {
		r.setCondition(appsv1.DeploymentAvailable, corev1.ConditionFalse, reasonUnavailable, "Deployment does not have minimum availability.")
	}
}

// notePause keeps the time of a pause from counting against the deadline. A
// deadline that was missed before the pause stays missed.
func (r *rollout) notePause() {
	if r.deadline() == 0 {
		return
	}
	c := r.condition(appsv1.DeploymentProgressing)
	if c != nil && c.Reason == reasonTimedOut {
		return
	}
	noted := c != nil && c.Reason == reasonPaused
	switch {
	case r.d.Spec.Paused && !noted:
		r.setCondition(appsv1.DeploymentProgressing, corev1.ConditionUnknown, reasonPaused, "Deployment is paused")
	case !r.d.Spec.Paused && noted:
		r.setCondition(appsv1.DeploymentProgressing, corev1.ConditionUnknown, reasonResumed, "Deployment is resumed")
	}
}

// judgeProgress sets the Progressing and ReplicaFailure conditions and when to
// judge again. It needs the counts of countStatus.
func (r *rollout) judgeProgress() {
	deadline := r.deadline()
	if deadline == 0 {
		r.dropCondition(appsv1.DeploymentProgressing)
	}
	current := r.condition(appsv1.DeploymentProgressing)
	done := current != nil && current.Reason == reasonNewSetAvailable && r.status.Replicas == r.status.UpdatedReplicas
	if deadline > 0 && !done {
		switch {
		case complete(r.d, r.status):
			r.setCondition(appsv1.DeploymentProgressing, corev1.ConditionTrue, reasonNewSetAvailable, r.progress("has successfully progressed."))
		case progressing(r.d.Status, r.status):
			r.noteProgress(current)
		case r.timedOut(current, deadline):
			r.setCondition(appsv1.DeploymentProgressing, corev1.ConditionFalse, reasonTimedOut, r.progress("has timed out progressing."))
		}
	}
	if c := r.replicaFailure(); c != nil {
		r.setCondition(appsv1.DeploymentReplicaFailure, c.Status, c.Reason, c.Message)
	} else {
		r.dropCondition(appsv1.DeploymentReplicaFailure)
	}
	r.plan.RequeueAfter = r.untilDeadline(deadline)
}

func (r *rollout) progress(what string) string {
	if r.newSet != nil {
		return fmt.Sprintf("ReplicaSet %q %s", r.newSet.Name, what)
	}
	return fmt.Sprintf("Deployment %q %s", r.d.Name, what)
}

// noteProgress renews the condition's lastUpdateTime, from which the deadline
// counts, even when nothing else of it changes.
func (r *rollout) noteProgress(current *appsv1.DeploymentCondition) {
	since := metav1.NewTime(r.now)
	if current != nil && current.Status == corev1.ConditionTrue {
		since = current.LastTransitionTime
	}
	r.dropCondition(appsv1.DeploymentProgressing)
	r.status.Conditions = append(r.status.Conditions, appsv1.DeploymentCondition{
		Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue,
		LastUpdateTime: metav1.NewTime(r.now), LastTransitionTime: since,
		Reason: reasonSetUpdated, Message: r.progress("is progressing."),
	})
}

// complete reports whether all pods are of the new template and available.
func complete(d *appsv1.Deployment, s appsv1.DeploymentStatus) bool {
	want := ptr.Deref(d.Spec.Replicas, 1)
	return s.UpdatedReplicas == want && s.Replicas == want && s.AvailableReplicas == want && s.ObservedGeneration >= d.Generation
}

// progressing reports whether the counts moved towards completion.
func progressing(was, is appsv1.DeploymentStatus) bool {
	return is.UpdatedReplicas > was.UpdatedReplicas ||
		is.Replicas-is.UpdatedReplicas < was.Replicas-was.UpdatedReplicas ||
		is.ReadyReplicas > was.ReadyReplicas ||
		is.AvailableReplicas > was.AvailableReplicas
}

func (r *rollout) timedOut(c *appsv1.DeploymentCondition, deadline time.Duration) bool {
	switch {
	case c == nil || c.Reason == reasonNewSetAvailable:
		return false
	case c.Reason == reasonTimedOut:
		return true
	default:
		return c.LastUpdateTime.Add(deadline).Before(r.now)
	}
}

// untilDeadline leaves a second for timestamps, which have no fractions.
func (r *rollout) untilDeadline(deadline time.Duration) time.Duration {
	c := r.condition(appsv1.DeploymentProgressing)
	if deadline == 0 || c == nil || c.Reason == reasonTimedOut || complete(r.d, r.status) {
		return 0
	}
	return max(c.LastUpdateTime.Add(deadline).Sub(r.now), 0) + time.Second
}

// replicaFailure returns the failure of the new set, or else of any.
func (r *rollout) replicaFailure() *appsv1.ReplicaSetCondition {
	sets := r.all()
	slices.Reverse(sets)
	for _, s := range sets {
		for i := range s.Status.Conditions {
			if s.Status.Conditions[i].Type == appsv1.ReplicaSetReplicaFailure {
				return &s.Status.Conditions[i]
			}
		}
	}
	return nil
}

func (r *rollout) condition(t appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	for i := range r.status.Conditions {
		if r.status.Conditions[i].Type == t {
			return &r.status.Conditions[i]
		}
	}
	return nil
}

func (r *rollout) dropCondition(t appsv1.DeploymentConditionType) {
	r.status.Conditions = slices.DeleteFunc(slices.Clone(r.status.Conditions), func(c appsv1.DeploymentCondition) bool { return c.Type == t })
}

func (r *rollout) setCondition(t appsv1.DeploymentConditionType, s corev1.ConditionStatus, reason, message string) {
	r.status.Conditions = withCondition(r.status.Conditions, t, s, reason, message, r.now)
}

// withCondition returns conditions with the given one. One of the same status
// and reason stays as it is, words and times.
func withCondition(cs []appsv1.DeploymentCondition, t appsv1.DeploymentConditionType, s corev1.ConditionStatus, reason, message string, now time.Time) []appsv1.DeploymentCondition {
	c := appsv1.DeploymentCondition{
		Type: t, Status: s, Reason: reason, Message: message,
		LastUpdateTime: metav1.NewTime(now), LastTransitionTime: metav1.NewTime(now),
	}
	var out []appsv1.DeploymentCondition
	for _, old := range cs {
		if old.Type != t {
			out = append(out, old)
			continue
		}
		if old.Status == s && old.Reason == reason {
			return cs
		}
		if old.Status == s {
			c.LastTransitionTime = old.LastTransitionTime
		}
	}
	return append(out, c)
}

// CreateFailed returns the status to report when the new ReplicaSet could not
// be created.
func CreateFailed(d *appsv1.Deployment, set *appsv1.ReplicaSet, failure error, now time.Time) appsv1.DeploymentStatus {
	r := newRollout(Observed{Deployment: d}, now)
	if r.deadline() > 0 {
		r.setCondition(appsv1.DeploymentProgressing, corev1.ConditionFalse, reasonSetCreateError, createFailedMessage(set.Name, failure))
	}
	return r.status
}
