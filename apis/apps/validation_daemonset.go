package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

var zero = intstr.FromInt32(0)

// ValidateDaemonSet validates a new DaemonSet.
func ValidateDaemonSet(ds *appsv1.DaemonSet) field.ErrorList {
	return append(validateMeta(&ds.ObjectMeta), validateDaemonSetSpec(&ds.Spec, nil)...)
}

// ValidateDaemonSetUpdate validates a changed DaemonSet; its selector never changes.
func ValidateDaemonSetUpdate(ds, old *appsv1.DaemonSet) field.ErrorList {
	errs := validateMetaUpdate(&ds.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, validateDaemonSetSpec(&ds.Spec, &old.Spec)...)
	return append(errs, validation.ValidateImmutableField(ds.Spec.Selector, old.Spec.Selector, specPath.Child("selector"))...)
}

func validateDaemonSetSpec(spec, old *appsv1.DaemonSetSpec) field.ErrorList {
	var (
		selector *metav1.LabelSelector
		template *corev1.PodTemplateSpec
	)
	if old != nil {
		selector, template = old.Selector, &old.Template
	}
	errs := validateSelector("daemonset", spec.Selector, &spec.Template, selectorOptions(selector), specPath)
	errs = append(errs, validateTemplate("DaemonSet", &spec.Template, template, 2, specPath.Child("template"))...)
	errs = append(errs, nonnegative(spec.MinReadySeconds, specPath.Child("minReadySeconds"))...)
	errs = append(errs, validateDaemonSetStrategy(&spec.UpdateStrategy, specPath.Child("updateStrategy"))...)
	if n := spec.RevisionHistoryLimit; n != nil {
		errs = append(errs, nonnegative(*n, specPath.Child("revisionHistoryLimit"))...)
	}
	return errs
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
	return field.ErrorList{field.NotSupported(path.Child("type"), s.Type, known)}
}

func validateRollingDaemonSet(unavailable, surge intstr.IntOrString, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	errs = append(errs, validateCount(unavailable, path.Child("maxUnavailable"))...)
	errs = append(errs, notMoreThan100Percent(unavailable, path.Child("maxUnavailable"))...)
	errs = append(errs, validateCount(surge, path.Child("maxSurge"))...)
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
		{"updatedNumberScheduled", s.UpdatedNumberScheduled}, {"numberAvailable", s.NumberAvailable},
		{"numberUnavailable", s.NumberUnavailable},
	}.nonnegative(path)...)
	errs = append(errs, validation.ValidateNonnegativeField(s.ObservedGeneration, path.Child("observedGeneration"))...)
	if n, was := s.CollisionCount, old.Status.CollisionCount; n != nil && was != nil && *n < *was {
		errs = append(errs, field.Invalid(path.Child("collisionCount"), *n, "cannot be decremented"))
	}
	return errs
}
