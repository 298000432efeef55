package batch

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/core"
	corewarnings "github.com/coracle-k8s/coracle/apis/core/warnings"
)

// The labels that pods of a Job had before Kubernetes 1.27 and still have.
const (
	LegacyJobNameLabel       = "job-name"
	LegacyControllerUIDLabel = "controller-uid"
)

// GenerateSelector gives a new Job that does not manage its selector by hand
// the selector for its UID, and its template the labels for it. Labels that
// are there are kept; validation refuses wrong ones.
func GenerateSelector(j *batchv1.Job) {
	if ptr.Deref(j.Spec.ManualSelector, false) {
		return
	}
	labels := &j.Spec.Template.Labels
	if *labels == nil {
		*labels = map[string]string{}
	}
	for label, value := range map[string]string{
		LegacyJobNameLabel: j.Name, batchv1.JobNameLabel: j.Name,
		LegacyControllerUIDLabel: string(j.UID), batchv1.ControllerUidLabel: string(j.UID),
	} {
		if _, ok := (*labels)[label]; !ok {
			(*labels)[label] = value
		}
	}
	orElse(&j.Spec.Selector, metav1.LabelSelector{})
	if j.Spec.Selector.MatchLabels == nil {
		j.Spec.Selector.MatchLabels = map[string]string{}
	}
	if _, ok := j.Spec.Selector.MatchLabels[batchv1.ControllerUidLabel]; !ok {
		j.Spec.Selector.MatchLabels[batchv1.ControllerUidLabel] = string(j.UID)
	}
}

// DropDisabledFields clears the fields of a Job's spec whose feature is alpha
// in v1.37 unless old, the stored spec, has them; old is nil for a new object.
func DropDisabledFields(s, old *batchv1.JobSpec) {
	if old == nil || old.Scheduling == nil {
		s.Scheduling = nil
	}
	var was *corev1.PodTemplateSpec
	if old != nil {
		was = &old.Template
	}
	core.DropDisabledTemplateFields(&s.Template, was)
}

// IsIndexed reports whether the Job's pods have completion indexes.
func IsIndexed(s *batchv1.JobSpec) bool {
	return ptr.Deref(s.CompletionMode, batchv1.NonIndexedCompletion) == batchv1.IndexedCompletion
}

// HasCondition reports whether the condition is true.
func HasCondition(status *batchv1.JobStatus, t batchv1.JobConditionType) bool {
	return conditionIs(status, t, corev1.ConditionTrue)
}

func conditionIs(status *batchv1.JobStatus, t batchv1.JobConditionType, value corev1.ConditionStatus) bool {
	for i := range status.Conditions {
		if c := &status.Conditions[i]; c.Type == t && c.Status == value {
			return true
		}
	}
	return false
}

// IsFinished reports whether the Job is complete or failed.
func IsFinished(status *batchv1.JobStatus) bool {
	return HasCondition(status, batchv1.JobComplete) || HasCondition(status, batchv1.JobFailed)
}

// JobWarnings returns warnings about what is legal in a Job but probably a mistake; old is nil
// on creation.
func JobWarnings(j, old *batchv1.Job) []string {
	path := field.NewPath("spec")
	if old == nil {
		return append(nameWarnings(j.Name), specWarnings(&j.Spec, nil, path)...)
	}
	if j.Generation == old.Generation {
		return nil
	}
	return specWarnings(&j.Spec, &old.Spec, path)
}

func nameWarnings(name string) []string {
	if msgs := utilvalidation.IsDNS1123Label(name); len(msgs) > 0 {
		return []string{fmt.Sprintf("metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: %v", msgs)}
	}
	return nil
}

func specWarnings(s, old *batchv1.JobSpec, path *field.Path) []string {
	var warnings []string
	if IsIndexed(s) && ptr.Deref(s.Completions, 0) > manyCompletions && ptr.Deref(s.Parallelism, 0) > manyCompletionsLimit {
		warnings = append(warnings, fmt.Sprintf("%s: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail", path))
	}
	var was *corev1.PodTemplateSpec
	if old != nil {
		was = &old.Template
	}
	return append(warnings, corewarnings.PodTemplateWarnings(&s.Template, was, path.Child("template"))...)
}
