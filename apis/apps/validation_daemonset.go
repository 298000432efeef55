package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/core/validation/pods"
	"github.com/coracle-k8s/coracle/apis/hub"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

var zero = intstr.FromInt32(0)

// ValidateDaemonSet validates a new DaemonSet.
func ValidateDaemonSet(ds *appsv1.DaemonSet) field.ErrorList {
	return append(validateMeta(&ds.ObjectMeta), validateDaemonSetSpec(&ds.Spec, nil)...)
}

// ValidateDaemonSetUpdate validates a changed DaemonSet; its selector never changes.
func ValidateDaemonSetUpdate(ds, old *appsv1.DaemonSet) field.ErrorList {
	errs := validateMetaUpdate(&ds.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, validation.ValidateImmutableField(ds.Spec.Selector, old.Spec.Selector, specPath.Child("selector"))...)
	return append(errs, validateDaemonSetSpec(&ds.Spec, &old.Spec)...)
}

func validateDaemonSetSpec(spec, old *appsv1.DaemonSetSpec) field.ErrorList {
	var (
		opts     metav1validation.LabelSelectorValidationOptions
		template *corev1.PodTemplateSpec
		errs     field.ErrorList
	)
	if old != nil {
		template = &old.Template
		opts.AllowInvalidLabelValueInSelector = pods.PodOptionsFor(&old.Template.Spec).AllowInvalidLabelValueInSelector ||
			metav1validation.LabelSelectorHasInvalidLabelValue(old.Selector)
	}
	at, path := specPath.Child("selector"), specPath.Child("template")
	errs = append(errs, metav1validation.ValidateLabelSelector(spec.Selector, opts, at)...)
	if parsed, err := metav1.LabelSelectorAsSelector(spec.Selector); err == nil {
		errs = append(errs, validateMatch(parsed, &spec.Template, path)...)
	}
	if s := spec.Selector; s != nil && len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		errs = append(errs, field.Invalid(at, s, "empty selector is invalid for daemonset"))
	}
	errs = append(errs, validatePodTemplate(&spec.Template, template, path)...)
	errs = append(errs, validateLasting("DaemonSet", &spec.Template, path)...)
	errs = append(errs, check.Nonnegative(specPath.Child("minReadySeconds"), spec.MinReadySeconds)...)
	errs = append(errs, validateDaemonSetStrategy(&spec.UpdateStrategy, specPath.Child("updateStrategy"))...)
	return append(errs, optional(spec.RevisionHistoryLimit, specPath.Child("revisionHistoryLimit"))...)
}

func validateDaemonSetStrategy(s *appsv1.DaemonSetUpdateStrategy, path *field.Path) field.ErrorList {
	known := []appsv1.DaemonSetUpdateStrategyType{appsv1.RollingUpdateDaemonSetStrategyType, appsv1.OnDeleteDaemonSetStrategyType}
	switch s.Type {
	case appsv1.OnDeleteDaemonSetStrategyType:
		return nil
	case appsv1.RollingUpdateDaemonSetStrategyType:
		at := path.Child("rollingUpdate")
		if s.RollingUpdate == nil {
			return field.ErrorList{field.Required(at, "")}
		}
		return validateRollingDaemonSet(ptr.Deref(s.RollingUpdate.MaxUnavailable, zero), ptr.Deref(s.RollingUpdate.MaxSurge, zero), at)
	}
	in := s.DeepCopy() // upstream's internal type has no pointers there
	if in.RollingUpdate != nil {
		orElse(&in.RollingUpdate.MaxUnavailable, zero)
		orElse(&in.RollingUpdate.MaxSurge, zero)
	}
	return field.ErrorList{field.NotSupported(path, hub.Internal(in), known)}
}

func validateRollingDaemonSet(unavailable, surge intstr.IntOrString, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	errs = append(errs, validateCount(unavailable, path.Child("maxUnavailable"))...)
	errs = append(errs, validateCount(surge, path.Child("maxSurge"))...)
	errs = append(errs, notMoreThan100Percent(unavailable, path.Child("maxUnavailable"))...)
	errs = append(errs, notMoreThan100Percent(surge, path.Child("maxSurge"))...)
	switch {
	case isZero(unavailable) && isZero(surge):
		errs = append(errs, field.Required(path.Child("maxUnavailable"), "cannot be 0 when maxSurge is 0"))
	case !isZero(unavailable) && !isZero(surge):
		errs = append(errs, field.Invalid(path.Child("maxSurge"), surge, "may not be set when maxUnavailable is non-zero"))
	}
	return errs
}

// ValidateDaemonSetStatusUpdate validates what the daemonset controller wrote.
func ValidateDaemonSetStatusUpdate(ds, old *appsv1.DaemonSet) field.ErrorList {
	errs := validateMetaUpdate(&ds.ObjectMeta, &old.ObjectMeta)
	path, s := field.NewPath("status"), &ds.Status
	errs = append(errs, counts{
		{"currentNumberScheduled", s.CurrentNumberScheduled}, {"numberMisscheduled", s.NumberMisscheduled},
		{"desiredNumberScheduled", s.DesiredNumberScheduled}, {"numberReady", s.NumberReady},
	}.nonnegative(path)...)
	errs = append(errs, validation.ValidateNonnegativeField(s.ObservedGeneration, path.Child("observedGeneration"))...)
	errs = append(errs, counts{
		{"updatedNumberScheduled", s.UpdatedNumberScheduled}, {"numberAvailable", s.NumberAvailable},
		{"numberUnavailable", s.NumberUnavailable},
	}.nonnegative(path)...)
	errs = append(errs, optional(s.CollisionCount, path.Child("collisionCount"))...)
	return append(errs, notDecremented(s.CollisionCount, old.Status.CollisionCount, path.Child("collisionCount"))...)
}
