package job

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

// Outcome holds the results of a Plan.
type Outcome struct {
	// Created is how many pods were created.
	Created int
	// Deleted are the pods that were asked to go, or were gone.
	Deleted []*corev1.Pod
}

// Tracking holds the counts to write. Status is written first; when it is stored, the pods
// in Untrack lose their finalizer, and Settle returns the status that remains to be written.
type Tracking struct {
	Status  batchv1.JobStatus
	Untrack []*corev1.Pod
	// Suspended or Resumed is set if the Job was, in this reconcile.
	Suspended, Resumed bool
	// Backoff holds once Status is stored.
	Backoff Backoff

	finish  *batchv1.JobCondition // Complete or Failed, if nothing is left to count
	tracked sets.Set[types.UID]   // pods that have the finalizer
}

// track decides what to count after a plan was carried out.
func (v *view) track(p Plan, out Outcome) Tracking {
	t := Tracking{Status: *v.job.Status.DeepCopy(), Backoff: v.backoff, tracked: sets.New[types.UID]()}
	if t.Status.UncountedTerminatedPods == nil {
		t.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{}
	}
	gone := sets.New[types.UID]()
	for _, pod := range out.Deleted {
		gone.Insert(pod.UID)
	}
	for i := range v.pods {
		if m := &v.pods[i]; m.tracked && !(p.Untrack && gone.Has(m.UID)) {
			t.tracked.Insert(m.UID)
		}
	}
	t.countUntracked()
	v.population(&t, out, gone)
	if t.Status.StartTime == nil && !v.suspended() {
		t.Status.StartTime = v.time()
	}
	finish := v.outcome(&t, p, out)
	more := v.note(&t, finish)
	v.noteIndexes(&t)
	if finish == nil {
		return t
	}
	if find(&t.Status, finish.Type) == nil {
		t.Status.Conditions = append(t.Status.Conditions, *finish)
	}
	end := batchv1.JobFailed
	if finish.Type == batchv1.JobSuccessCriteriaMet {
		end = batchv1.JobComplete
	}
	if !more {
		t.finish = condition(end, finish.Reason, finish.Message, v.now)
	}
	return t
}

func (v *view) time() *metav1.Time { return &metav1.Time{Time: v.now} }

// countUntracked moves pods whose finalizer is gone from the uncounted to the
// counters.
func (t *Tracking) countUntracked() {
	u := t.Status.UncountedTerminatedPods
	move := func(list *[]types.UID, counter *int32) {
		var kept []types.UID
		for _, uid := range *list {
			if t.tracked.Has(uid) {
				kept = append(kept, uid)
			} else {
				*counter++
			}
		}
		*list = kept
	}
	move(&u.Succeeded, &t.Status.Succeeded)
	move(&u.Failed, &t.Status.Failed)
}

func (v *view) population(t *Tracking, out Outcome, gone sets.Set[types.UID]) {
	ready, terminating := int32(0), v.terminating+int32(len(out.Deleted))
	for _, p := range v.active {
		if podapi.IsReady(p) && !gone.Has(p.UID) {
			ready++
		}
	}
	t.Status.Active = int32(len(v.active) + out.Created - len(out.Deleted))
	t.Status.Ready, t.Status.Terminating = &ready, &terminating
}

// outcome returns why the Job ends, nil if it does not; one that goes on may
// have been suspended or resumed.
func (v *view) outcome(t *Tracking, p Plan, out Outcome) *batchv1.JobCondition {
	if p.Finish != nil {
		// Pods that were not deleted, or not seen yet, are still to be counted.
		if len(out.Deleted) != len(v.active) || !v.settled {
			return nil
		}
		return p.Finish
	}
	enough := v.succeeded > 0
	if v.spec.Completions != nil {
		enough = v.succeeded >= *v.spec.Completions
	}
	if enough && t.Status.Active == 0 {
		return condition(batchv1.JobSuccessCriteriaMet, batchv1.JobReasonCompletionsReached, "Reached expected number of succeeded pods", v.now)
	}
	if p.Managed {
		v.suspension(t)
	}
	return nil
}

func (v *view) suspension(t *Tracking) {
	switch c := find(&t.Status, batchv1.JobSuspended); {
	case v.suspended() && !isTrue(c):
		now := condition(batchv1.JobSuspended, "JobSuspended", "Job suspended", v.now)
		if c == nil {
			t.Status.Conditions = append(t.Status.Conditions, *now)
		} else {
			*c = *now
		}
		t.Suspended, t.Status.StartTime = true, nil
	case !v.suspended() && isTrue(c):
		*c = *condition(batchv1.JobSuspended, "JobResumed", "Job resumed", v.now)
		c.Status = corev1.ConditionFalse
		// The deadline is for the time a Job is active without a break.
		t.Resumed, t.Status.StartTime = true, v.time()
	}
}

// note puts pods that ended among the uncounted, up to a limit, and reports
// whether there are more.
func (v *view) note(t *Tracking, finish *batchv1.JobCondition) (more bool) {
	u, indexes := t.Status.UncountedTerminatedPods, sets.New[int]()
	for i := range v.pods {
		m := &v.pods[i]
		if !t.tracked.Has(m.UID) || !v.mayUntrack(m, finish) {
			continue
		}
		if len(u.Succeeded)+len(u.Failed)+indexes.Len() >= burst {
			return true
		}
		t.Untrack = append(t.Untrack, m.Pod)
		switch {
		case v.noted.Has(m.UID) || !v.valid(m):
		case m.Status.Phase == corev1.PodSucceeded:
			if !v.indexed() {
				u.Succeeded = append(u.Succeeded, m.UID)
			} else if !v.before.Has(m.index) {
				indexes.Insert(m.index) // the index is enough to not count it twice
			}
		case m.failed || finish != nil && finish.Type == batchv1.JobFailureTarget:
			verdict := m.verdict
			if !m.failed {
				verdict = judge(v.spec.PodFailurePolicy, m.Pod)
			}
			if verdict.counted() {
				u.Failed = append(u.Failed, m.UID)
			}
		}
	}
	return false
}

// mayUntrack reports whether the finalizer is of no more use: the pod ended,
// and is not the one that records how often its index has failed.
func (v *view) mayUntrack(m *member, finish *batchv1.JobCondition) bool {
	if v.job.DeletionTimestamp != nil || finish != nil || m.Status.Phase == corev1.PodSucceeded {
		return true
	}
	return m.failed && v.last[m.index] != m
}

func (v *view) noteIndexes(t *Tracking) {
	if !v.indexed() {
		return
	}
	t.Status.Succeeded, t.Status.CompletedIndexes, t.Status.FailedIndexes = int32(v.completed.Len()), v.completed.String(), nil
	if v.perIndex() {
		text := v.failedIndexes.String()
		t.Status.FailedIndexes = &text
	}
}

// Settle returns the status once the pods in untracked have lost their
// finalizer, and the condition with which the Job ended, nil if it goes on.
func (t *Tracking) Settle(untracked []*corev1.Pod, now time.Time) (batchv1.JobStatus, *batchv1.JobCondition) {
	s := Tracking{Status: *t.Status.DeepCopy(), tracked: t.tracked.Clone()}
	for _, p := range untracked {
		s.tracked.Delete(p.UID)
	}
	s.countUntracked()
	u := s.Status.UncountedTerminatedPods
	if t.finish == nil || len(u.Succeeded)+len(u.Failed) > 0 || *s.Status.Terminating > 0 {
		return s.Status, nil
	}
	end := t.finish.DeepCopy()
	end.LastProbeTime, end.LastTransitionTime = metav1.NewTime(now), metav1.NewTime(now)
	s.Status.Conditions = append(s.Status.Conditions, *end)
	if end.Type == batchv1.JobComplete {
		s.Status.CompletionTime = end.LastTransitionTime.DeepCopy()
	}
	return s.Status, end
}
