package batch

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// ValidateJobStatusUpdate validates the status that a job controller wrote, maybe
// another than Coracle's (spec.managedBy). A rule looks only at fields that changed:
// others may be in breach since the spec changed, until the controller comes round.
func ValidateJobStatusUpdate(j, old *batchv1.Job) field.ErrorList {
	v := statusChange{job: j, now: &j.Status, old: &old.Status, path: field.NewPath("status")}
	v.errs = validation.ValidateObjectMetaUpdate(&j.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))
	// In upstream's order, which the message of the answer has.
	v.counters()
	v.uncounted()
	v.complete()
	v.completionTime()
	v.announced()
	v.finished()
	v.indexes()
	v.pods()
	v.success()
	v.backwards()
	return v.errs
}

// statusChange collects what is wrong with the change of a Job's status.
type statusChange struct {
	job      *batchv1.Job
	now, old *batchv1.JobStatus
	path     *field.Path
	errs     field.ErrorList
}

func (v *statusChange) has(t batchv1.JobConditionType) bool { return HasCondition(v.now, t) }

// flipped reports whether the condition became true or stopped being so.
func (v *statusChange) flipped(t batchv1.JobConditionType) bool {
	return v.has(t) != HasCondition(v.old, t)
}

func (v *statusChange) finishedFlipped() bool { return IsFinished(v.now) != IsFinished(v.old) }

func (v *statusChange) invalid(name string, value any, detail string) {
	v.errs = append(v.errs, field.Invalid(v.path.Child(name), value, detail))
}

func (v *statusChange) conflict(when bool, detail string) {
	if when {
		v.invalid("conditions", field.OmitValueType{}, detail)
	}
}

func (v *statusChange) counters() {
	s := v.now
	for _, n := range []struct {
		name  string
		value *int32
	}{{"active", &s.Active}, {"succeeded", &s.Succeeded}, {"failed", &s.Failed}, {"ready", s.Ready}, {"terminating", s.Terminating}} {
		if n.value != nil {
			v.errs = append(v.errs, validation.ValidateNonnegativeField(int64(*n.value), v.path.Child(n.name))...)
		}
	}
}

func (v *statusChange) uncounted() {
	if v.now.UncountedTerminatedPods == nil {
		return
	}
	seen := sets.New[types.UID]()
	for _, list := range []struct {
		name string
		uids []types.UID
	}{{"succeeded", v.now.UncountedTerminatedPods.Succeeded}, {"failed", v.now.UncountedTerminatedPods.Failed}} {
		for i, uid := range list.uids {
			at := v.path.Child("uncountedTerminatedPods", list.name).Index(i)
			switch {
			case uid == "":
				v.errs = append(v.errs, field.Invalid(at, uid, "must not be empty"))
			case seen.Has(uid):
				v.errs = append(v.errs, field.Duplicate(at, uid))
			}
			seen.Insert(uid)
		}
	}
}

func (v *statusChange) complete() {
	complete, flipped := v.has(batchv1.JobComplete), v.flipped(batchv1.JobComplete)
	v.conflict(complete && v.has(batchv1.JobFailed) && (flipped || v.flipped(batchv1.JobFailed)), "cannot set Complete=True and Failed=true conditions")
	v.conflict(complete && v.has(batchv1.JobFailureTarget) && (flipped || v.flipped(batchv1.JobFailureTarget)), "cannot set Complete=True and FailureTarget=true conditions")
}

func (v *statusChange) startChanged() bool { return !ptr.Equal(v.now.StartTime, v.old.StartTime) }
func (v *statusChange) endChanged() bool {
	return !ptr.Equal(v.now.CompletionTime, v.old.CompletionTime)
}

func (v *statusChange) completionTime() {
	s, complete := v.now, v.has(batchv1.JobComplete)
	if v.endChanged() || v.flipped(batchv1.JobComplete) {
		switch {
		case s.CompletionTime != nil && !complete:
			v.invalid("completionTime", s.CompletionTime, "cannot set completionTime when there is no Complete=True condition")
		case s.CompletionTime == nil && complete:
			v.errs = append(v.errs, field.Required(v.path.Child("completionTime"), "completionTime is required for Complete jobs"))
		}
	}
	if (v.startChanged() || v.endChanged()) && s.StartTime != nil && s.CompletionTime != nil && s.CompletionTime.Before(s.StartTime) {
		v.invalid("completionTime", s.CompletionTime, "must be equal to or after `startTime`")
	}
}

// announced wants the conditions that come before the final ones.
func (v *statusChange) announced() {
	v.conflict(v.has(batchv1.JobFailed) && !v.has(batchv1.JobFailureTarget) && (v.flipped(batchv1.JobFailed) || !ptr.Equal(v.now.FailedIndexes, v.old.FailedIndexes)),
		"cannot set Failed=True condition without the FailureTarget=true condition")
	v.conflict(v.has(batchv1.JobComplete) && !v.has(batchv1.JobSuccessCriteriaMet) && (v.flipped(batchv1.JobComplete) || v.flipped(batchv1.JobSuccessCriteriaMet)),
		"cannot set Complete=True condition without the SuccessCriteriaMet=true condition")
}

func (v *statusChange) finished() {
	s, flipped := v.now, v.finishedFlipped()
	if !IsFinished(s) {
		return
	}
	if s.Active > 0 && (flipped || s.Active != v.old.Active) {
		v.invalid("active", s.Active, "active>0 is invalid for finished job")
	}
	neverRuns := ptr.Deref(v.job.Spec.Suspend, false) && ptr.Equal(v.job.Spec.Completions, ptr.To[int32](0))
	if (v.startChanged() || flipped) && s.StartTime == nil && !neverRuns {
		v.errs = append(v.errs, field.Required(v.path.Child("startTime"), "startTime is required for finished job"))
	}
	if u := s.UncountedTerminatedPods; u != nil && len(u.Failed)+len(u.Succeeded) > 0 && (flipped || !equality.Semantic.DeepEqual(u, v.old.UncountedTerminatedPods)) {
		v.invalid("uncountedTerminatedPods", hub.Internal(u), "must be empty for finished job")
	}
}

func (v *statusChange) pods() {
	s := v.now
	if IsFinished(s) && ptr.Deref(s.Terminating, 0) > 0 && (v.finishedFlipped() || !ptr.Equal(s.Terminating, v.old.Terminating)) {
		v.invalid("terminating", s.Terminating, "terminating>0 is invalid for finished job")
	}
	if s.Ready != nil && *s.Ready > s.Active && (s.Active != v.old.Active || !ptr.Equal(s.Ready, v.old.Ready)) {
		v.invalid("ready", *s.Ready, "cannot set more ready pods than active")
	}
}

func (v *statusChange) success() {
	met := v.has(batchv1.JobSuccessCriteriaMet)
	v.conflict(met && v.has(batchv1.JobFailed), "cannot set SuccessCriteriaMet=True and Failed=true conditions")
	v.conflict(met && v.has(batchv1.JobFailureTarget), "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions")
	v.conflict(v.job.Spec.SuccessPolicy != nil && !met && v.has(batchv1.JobComplete), "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True")
}

func (v *statusChange) indexes() {
	s, spec := v.now, &v.job.Spec
	completed, failed := s.CompletedIndexes != v.old.CompletedIndexes, !ptr.Equal(s.FailedIndexes, v.old.FailedIndexes)
	if completed && spec.Completions != nil {
		if _, err := parseIntervals(s.CompletedIndexes, *spec.Completions); err != nil {
			v.invalid("completedIndexes", s.CompletedIndexes, "error parsing completedIndexes: "+err.Error())
		}
	}
	if failed && s.FailedIndexes != nil && spec.Completions != nil && spec.BackoffLimitPerIndex != nil {
		if _, err := parseIntervals(*s.FailedIndexes, *spec.Completions); err != nil {
			v.invalid("failedIndexes", s.FailedIndexes, "error parsing failedIndexes: "+err.Error())
		}
	}
	if completed && s.CompletedIndexes != "" && !IsIndexed(spec) {
		v.invalid("completedIndexes", s.CompletedIndexes, "cannot set non-empty completedIndexes when non-indexed completion mode")
	}
	if failed && s.FailedIndexes != nil && spec.BackoffLimitPerIndex == nil {
		v.invalid("failedIndexes", *s.FailedIndexes, "cannot set non-null failedIndexes when backoffLimitPerIndex is null")
	}
	if (completed || failed) && spec.Completions != nil && s.FailedIndexes != nil {
		if err := overlap(s.CompletedIndexes, *s.FailedIndexes, *spec.Completions); err != nil {
			v.invalid("failedIndexes", *s.FailedIndexes, err.Error())
		}
	}
}

// backwards refuses to undo what clients rely on.
func (v *statusChange) backwards() {
	for _, t := range []batchv1.JobConditionType{batchv1.JobFailed, batchv1.JobComplete, batchv1.JobFailureTarget} {
		v.conflict(HasCondition(v.old, t) && !v.has(t), fmt.Sprintf("cannot disable the terminal %s=True condition", t))
	}
	if v.now.Failed < v.old.Failed {
		v.invalid("failed", v.now.Failed, "cannot decrease the failed counter")
	}
	// An indexed job that is scaled down may lose completions.
	elastic := IsIndexed(&v.job.Spec) && ptr.Equal(v.job.Spec.Completions, v.job.Spec.Parallelism)
	if v.now.Succeeded < v.old.Succeeded && !elastic {
		v.invalid("succeeded", v.now.Succeeded, "cannot decrease the succeeded counter")
	}
	if v.endChanged() && v.now.CompletionTime != nil && v.old.CompletionTime != nil {
		v.invalid("completionTime", v.now.CompletionTime, validation.FieldImmutableErrorMsg)
	}
	resumes := HasCondition(v.old, batchv1.JobSuspended) && conditionIs(v.now, batchv1.JobSuspended, corev1.ConditionFalse)
	if v.startChanged() && v.old.StartTime != nil && !resumes && !ptr.Deref(v.job.Spec.Suspend, false) {
		v.invalid("startTime", v.now.StartTime, "field is immutable for unsuspended job once set")
	}
	met := batchv1.JobSuccessCriteriaMet
	v.conflict(HasCondition(v.old, met) && !v.has(met), "cannot disable the SuccessCriteriaMet=True condition")
	v.conflict(HasCondition(v.old, batchv1.JobComplete) && !HasCondition(v.old, met) && v.has(met),
		"cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions")
}
