package batch

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/core/validation/pods"
	"github.com/coracle-k8s/coracle/apis/hub"
)

// Limits of indexed jobs, and of those with more than manyCompletions.
const (
	maxParallelism, maxFailedIndexes = 100_000, 100_000
	manyCompletions                  = 100_000
	manyCompletionsLimit             = 10_000
	maxManagedBy                     = 63
)

var specPath = field.NewPath("spec")

// ValidateJob validates a new Job, with the selector that GenerateSelector made.
func ValidateJob(j *batchv1.Job) field.ErrorList {
	errs := validation.ValidateObjectMeta(&j.ObjectMeta, true, validation.NameIsDNSSubdomain, field.NewPath("metadata"))
	errs = append(errs, validateGeneratedSelector(j)...)
	errs = append(errs, validateSpec(&j.Spec, nil, specPath)...)
	errs = append(errs, validateSelector(&j.Spec, metav1validation.LabelSelectorValidationOptions{}, specPath)...)
	return append(errs, validateHostname(j)...)
}

// ValidateJobUpdate validates a changed Job. Its pods' template may change
// only where a suspended job that has no pods lets it.
func ValidateJobUpdate(j, old *batchv1.Job) field.ErrorList {
	errs := validation.ValidateObjectMetaUpdate(&j.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))
	s, was := &j.Spec, &old.Spec
	errs = append(errs, validateSpec(s, was, specPath)...)
	errs = append(errs, validateSelector(s, metav1validation.LabelSelectorValidationOptions{
		AllowInvalidLabelValueInSelector: metav1validation.LabelSelectorHasInvalidLabelValue(was.Selector) ||
			pods.PodOptionsFor(&was.Template.Spec).AllowInvalidLabelValueInSelector,
	}, specPath)...)
	errs = append(errs, validateCompletionsUpdate(s, was)...)
	errs = append(errs, validation.ValidateImmutableField(s.Selector, was.Selector, specPath.Child("selector"))...)
	errs = append(errs, validateTemplateUpdate(s, old)...)
	for _, f := range []struct {
		name    string
		now, is any
	}{
		{"completionMode", s.CompletionMode, was.CompletionMode},
		{"podFailurePolicy", s.PodFailurePolicy, was.PodFailurePolicy},
		{"backoffLimitPerIndex", s.BackoffLimitPerIndex, was.BackoffLimitPerIndex},
		{"managedBy", s.ManagedBy, was.ManagedBy},
		{"successPolicy", s.SuccessPolicy, was.SuccessPolicy},
	} {
		errs = append(errs, immutable(f.now, f.is, specPath.Child(f.name))...)
	}
	return append(errs, validateHostname(j)...)
}

func immutable(now, was any, path *field.Path) field.ErrorList {
	if equality.Semantic.DeepEqual(now, was) {
		return nil
	}
	return field.ErrorList{field.Invalid(path, hub.Internal(now), validation.FieldImmutableErrorMsg)}
}

func wide(n *int32) *int64 {
	if n == nil {
		return nil
	}
	return ptr.To(int64(*n))
}

// validateGeneratedSelector checks the labels that a generated selector needs;
// the user may have set others.
func validateGeneratedSelector(j *batchv1.Job) field.ErrorList {
	var errs field.ErrorList
	if ptr.Deref(j.Spec.ManualSelector, false) || j.Spec.Selector == nil {
		return nil
	}
	if j.UID == "" {
		errs = append(errs, field.Required(field.NewPath("metadata", "uid"), ""))
	}
	expected := labels.Set{}
	for _, l := range []struct{ name, value string }{
		{LegacyControllerUIDLabel, string(j.UID)}, {LegacyJobNameLabel, j.Name},
		{batchv1.ControllerUidLabel, string(j.UID)}, {batchv1.JobNameLabel, j.Name},
	} {
		expected[l.name] = l.value
		path := specPath.Child("template", "metadata")
		switch value, ok := j.Spec.Template.Labels[l.name]; {
		case !ok:
			errs = append(errs, field.Required(path.Child("labels").Key(l.name), fmt.Sprintf("must be '%s'", l.value)))
		case value != l.value:
			errs = append(errs, field.Invalid(path.Child("labels").Key(l.name), j.Spec.Template.Labels, fmt.Sprintf("must be '%s'", l.value)))
		}
	}
	if selector, err := metav1.LabelSelectorAsSelector(j.Spec.Selector); err == nil && !selector.Matches(expected) {
		errs = append(errs, field.Invalid(specPath.Child("selector"), j.Spec.Selector, "`selector` not auto-generated"))
	}
	return errs
}

func validateSelector(s *batchv1.JobSpec, opts metav1validation.LabelSelectorValidationOptions, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.Selector == nil {
		errs = append(errs, field.Required(path.Child("selector"), ""))
	} else {
		errs = append(errs, metav1validation.ValidateLabelSelector(s.Selector, opts, path.Child("selector"))...)
	}
	if selector, err := metav1.LabelSelectorAsSelector(s.Selector); err == nil && !selector.Matches(labels.Set(s.Template.Labels)) {
		errs = append(errs, field.Invalid(path.Child("template", "metadata", "labels"), s.Template.Labels, "`selector` does not match template `labels`"))
	}
	return errs
}

// validateHostname refuses an indexed job whose last pod would have a host
// name that is too long.
func validateHostname(j *batchv1.Job) field.ErrorList {
	n := ptr.Deref(j.Spec.Completions, 0)
	if !IsIndexed(&j.Spec) || n <= 0 {
		return nil
	}
	if name := fmt.Sprintf("%s-%d", j.Name, n-1); len(utilvalidation.IsDNS1123Label(name)) > 0 {
		return field.ErrorList{field.Invalid(field.NewPath("metadata", "name"), j.Name, "will not able to create pod with invalid DNS label: "+name)}
	}
	return nil
}

// validateSpec validates what Jobs and CronJobs' templates have in common.
func validateSpec(s, old *batchv1.JobSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, n := range []struct {
		name  string
		value *int64
	}{
		{"parallelism", wide(s.Parallelism)}, {"completions", wide(s.Completions)}, {"activeDeadlineSeconds", s.ActiveDeadlineSeconds},
		{"backoffLimit", wide(s.BackoffLimit)}, {"ttlSecondsAfterFinished", wide(s.TTLSecondsAfterFinished)},
		{"backoffLimitPerIndex", wide(s.BackoffLimitPerIndex)}, {"maxFailedIndexes", wide(s.MaxFailedIndexes)},
	} {
		if n.value != nil {
			errs = append(errs, validation.ValidateNonnegativeField(*n.value, path.Child(n.name))...)
		}
	}
	if s.MaxFailedIndexes != nil && s.BackoffLimitPerIndex == nil {
		errs = append(errs, field.Required(path.Child("backoffLimitPerIndex"), "when maxFailedIndexes is specified"))
	}
	if s.ManagedBy != nil {
		at := path.Child("managedBy")
		errs = append(errs, utilvalidation.IsDomainPrefixedPath(at, *s.ManagedBy)...)
		if len(*s.ManagedBy) > maxManagedBy {
			errs = append(errs, field.TooLong(at, "", maxManagedBy))
		}
	}
	errs = append(errs, validateMode(s, path)...)
	if s.PodFailurePolicy != nil {
		errs = append(errs, validateFailurePolicy(s, path.Child("podFailurePolicy"))...)
	}
	if s.SuccessPolicy != nil {
		if at := path.Child("successPolicy"); IsIndexed(s) {
			errs = append(errs, validateSuccessPolicy(s, at)...)
		} else {
			errs = append(errs, field.Invalid(at, hub.Internal(s.SuccessPolicy), "requires indexed completion mode"))
		}
	}
	errs = append(errs, validateReplacement(s, path.Child("podReplacementPolicy"))...)
	var was *corev1.PodTemplateSpec
	if old != nil {
		was = &old.Template
	}
	errs = append(errs, pods.ValidatePodTemplateSpec(&s.Template, path.Child("template"), pods.TemplateOptionsFor(was))...)
	return append(errs, validateRestartPolicy(s, path.Child("template", "spec", "restartPolicy"))...)
}

func validateMode(s *batchv1.JobSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	mode := ptr.Deref(s.CompletionMode, batchv1.NonIndexedCompletion)
	switch mode {
	case batchv1.IndexedCompletion:
		return validateIndexed(s, path)
	case batchv1.NonIndexedCompletion:
		if n := s.BackoffLimitPerIndex; n != nil {
			errs = append(errs, field.Invalid(path.Child("backoffLimitPerIndex"), *n, "requires indexed completion mode"))
		}
		if n := s.MaxFailedIndexes; n != nil {
			errs = append(errs, field.Invalid(path.Child("maxFailedIndexes"), *n, "requires indexed completion mode"))
		}
	default:
		errs = append(errs, field.NotSupported(path.Child("completionMode"), mode, []batchv1.CompletionMode{batchv1.NonIndexedCompletion, batchv1.IndexedCompletion}))
	}
	return errs
}

func validateIndexed(s *batchv1.JobSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	atMost := func(name string, value *int32, limit int32, when string) {
		if value != nil && *value > limit {
			errs = append(errs, field.Invalid(path.Child(name), *value, fmt.Sprintf("must be less than or equal to %d%s", limit, when)))
		}
	}
	if s.Completions == nil {
		errs = append(errs, field.Required(path.Child("completions"), "when completion mode is Indexed"))
	}
	atMost("parallelism", s.Parallelism, maxParallelism, " when completion mode is Indexed")
	if s.Completions != nil && s.MaxFailedIndexes != nil && *s.MaxFailedIndexes > *s.Completions {
		errs = append(errs, field.Invalid(path.Child("maxFailedIndexes"), *s.MaxFailedIndexes, "must be less than or equal to completions"))
	}
	atMost("maxFailedIndexes", s.MaxFailedIndexes, maxFailedIndexes, "")
	if ptr.Deref(s.Completions, 0) > manyCompletions && s.BackoffLimitPerIndex != nil {
		if s.MaxFailedIndexes == nil {
			errs = append(errs, field.Required(path.Child("maxFailedIndexes"), fmt.Sprintf("must be specified when completions is above %d", manyCompletions)))
		}
		when := fmt.Sprintf(" when completions are above %d and used with backoff limit per index", manyCompletions)
		atMost("parallelism", s.Parallelism, manyCompletionsLimit, when)
		atMost("maxFailedIndexes", s.MaxFailedIndexes, manyCompletionsLimit, when)
	}
	return errs
}

func validateReplacement(s *batchv1.JobSpec, path *field.Path) field.ErrorList {
	known := []batchv1.PodReplacementPolicy{batchv1.Failed, batchv1.TerminatingOrFailed}
	if s.PodFailurePolicy != nil {
		known = known[:1]
	}
	if p := s.PodReplacementPolicy; p != nil && !slices.Contains(known, *p) {
		return field.ErrorList{field.NotSupported(path, *p, known)}
	}
	return nil
}

func validateRestartPolicy(s *batchv1.JobSpec, path *field.Path) field.ErrorList {
	known := []corev1.RestartPolicy{corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever}
	switch p := s.Template.Spec.RestartPolicy; {
	case p == corev1.RestartPolicyAlways || p == "":
		return field.ErrorList{field.Required(path, fmt.Sprintf("valid values: %q, %q", known[0], known[1]))}
	case !slices.Contains(known, p):
		return field.ErrorList{field.NotSupported(path, p, known)}
	case s.PodFailurePolicy != nil && p != corev1.RestartPolicyNever:
		return field.ErrorList{field.Invalid(path, p, fmt.Sprintf("only %q is supported when podFailurePolicy is specified", corev1.RestartPolicyNever))}
	}
	return nil
}

// validateCompletionsUpdate validates that completions changed only of an
// indexed job, and only together with its parallelism.
func validateCompletionsUpdate(s, old *batchv1.JobSpec) field.ErrorList {
	path := specPath.Child("completions")
	if !IsIndexed(s) {
		return validation.ValidateImmutableField(s.Completions, old.Completions, path)
	}
	if s.Completions == nil || ptr.Equal(s.Completions, old.Completions) || *s.Completions == ptr.Deref(s.Parallelism, 0) {
		return nil
	}
	return field.ErrorList{field.Invalid(path, s.Completions, "can only be modified in tandem with spec.parallelism")}
}

// validateTemplateUpdate lets a suspended job without active pods change where
// its pods may run and what they request (upstream's
// MutableSchedulingDirectivesForSuspendedJobs and
// MutablePodResourcesForSuspendedJobs).
func validateTemplateUpdate(s *batchv1.JobSpec, old *batchv1.Job) field.ErrorList {
	template, was := &s.Template, &old.Spec.Template
	suspended := ptr.Deref(old.Spec.Suspend, false) && (old.Status.StartTime == nil || HasCondition(&old.Status, batchv1.JobSuspended))
	if !suspended || old.Status.Active != 0 {
		return immutable(template, was, specPath.Child("template"))
	}
	expected := was.Spec.DeepCopy()
	takeNodeAffinity(expected, &template.Spec)
	expected.NodeSelector, expected.Tolerations, expected.SchedulingGates = template.Spec.NodeSelector, template.Spec.Tolerations, template.Spec.SchedulingGates
	takeResources(expected.Containers, template.Spec.Containers)
	takeResources(expected.InitContainers, template.Spec.InitContainers)
	return immutable(template.Spec, *expected, specPath.Child("template.spec"))
}

// takeNodeAffinity gives expected the node affinity of now.
func takeNodeAffinity(expected, now *corev1.PodSpec) {
	switch {
	case now.Affinity != nil:
		if expected.Affinity == nil {
			expected.Affinity = &corev1.Affinity{}
		}
		expected.Affinity.NodeAffinity = now.Affinity.NodeAffinity
	case expected.Affinity != nil:
		expected.Affinity.NodeAffinity = nil
		if *expected.Affinity == (corev1.Affinity{}) {
			expected.Affinity = nil
		}
	}
}

func takeResources(expected, now []corev1.Container) {
	if len(expected) != len(now) {
		return
	}
	for i := range expected {
		if expected[i].Name == now[i].Name {
			expected[i].Resources = now[i].Resources
		}
	}
}
