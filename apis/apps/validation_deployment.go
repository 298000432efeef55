package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/hub"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// ValidateDeployment validates a new Deployment.
func ValidateDeployment(d *appsv1.Deployment) field.ErrorList {
	return append(validateMeta(&d.ObjectMeta), validateDeploymentSpec(&d.Spec, nil)...)
}

// ValidateDeploymentUpdate validates a changed Deployment; its selector never changes.
func ValidateDeploymentUpdate(d, old *appsv1.Deployment) field.ErrorList {
	errs := validateMetaUpdate(&d.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, validateDeploymentSpec(&d.Spec, &old.Spec)...)
	return append(errs, validation.ValidateImmutableField(d.Spec.Selector, old.Spec.Selector, specPath.Child("selector"))...)
}

func validateDeploymentSpec(spec, old *appsv1.DeploymentSpec) field.ErrorList {
	var template *corev1.PodTemplateSpec
	if old != nil {
		template = &old.Template
	}
	errs := check.Nonnegative(specPath.Child("replicas"), ptr.Deref(spec.Replicas, 1))
	errs = append(errs, validateSelected("deployment", spec.Selector, &spec.Template, template)...)
	errs = append(errs, validateDeploymentStrategy(&spec.Strategy, specPath.Child("strategy"))...)
	errs = append(errs, check.Nonnegative(specPath.Child("minReadySeconds"), spec.MinReadySeconds)...)
	errs = append(errs, optional(spec.RevisionHistoryLimit, specPath.Child("revisionHistoryLimit"))...)
	if n := spec.ProgressDeadlineSeconds; n != nil {
		at := specPath.Child("progressDeadlineSeconds")
		errs = append(errs, check.Nonnegative(at, *n)...)
		if *n <= spec.MinReadySeconds {
			errs = append(errs, field.Invalid(at, *n, "must be greater than minReadySeconds"))
		}
	}
	return errs
}

func validateDeploymentStrategy(s *appsv1.DeploymentStrategy, path *field.Path) field.ErrorList {
	switch s.Type {
	case appsv1.RecreateDeploymentStrategyType:
		if s.RollingUpdate != nil {
			return field.ErrorList{field.Forbidden(path.Child("rollingUpdate"), "may not be specified when strategy `type` is '"+string(s.Type)+"'")}
		}
		return nil
	case appsv1.RollingUpdateDeploymentStrategyType:
		if s.RollingUpdate == nil {
			return field.ErrorList{field.Required(path.Child("rollingUpdate"), "this should be defaulted and never be nil")}
		}
		return validateRollingDeployment(s.RollingUpdate, path.Child("rollingUpdate"))
	}
	in := s.DeepCopy() // upstream's internal type has no pointers there
	if in.RollingUpdate != nil {
		orElse(&in.RollingUpdate.MaxUnavailable, zero)
		orElse(&in.RollingUpdate.MaxSurge, zero)
	}
	return field.ErrorList{field.NotSupported(path, hub.Internal(in),
		[]appsv1.DeploymentStrategyType{appsv1.RecreateDeploymentStrategyType, appsv1.RollingUpdateDeploymentStrategyType})}
}

func validateRollingDeployment(r *appsv1.RollingUpdateDeployment, path *field.Path) field.ErrorList {
	unavailable, surge := ptr.Deref(r.MaxUnavailable, zero), ptr.Deref(r.MaxSurge, zero)
	errs := validateCount(unavailable, path.Child("maxUnavailable"))
	errs = append(errs, validateCount(surge, path.Child("maxSurge"))...)
	if isZero(unavailable) && isZero(surge) {
		errs = append(errs, field.Invalid(path.Child("maxUnavailable"), unavailable, "may not be 0 when `maxSurge` is 0"))
	}
	return append(errs, notMoreThan100Percent(unavailable, path.Child("maxUnavailable"))...)
}

// ValidateDeploymentStatusUpdate validates what the deployment controller wrote.
func ValidateDeploymentStatusUpdate(d, old *appsv1.Deployment) field.ErrorList {
	errs := validateMetaUpdate(&d.ObjectMeta, &old.ObjectMeta)
	path, s := field.NewPath("status"), &d.Status
	errs = append(errs, validation.ValidateNonnegativeField(s.ObservedGeneration, path.Child("observedGeneration"))...)
	errs = append(errs, counts{
		{"replicas", s.Replicas}, {"updatedReplicas", s.UpdatedReplicas}, {"readyReplicas", s.ReadyReplicas},
		{"availableReplicas", s.AvailableReplicas}, {"unavailableReplicas", s.UnavailableReplicas},
	}.nonnegative(path)...)
	errs = append(errs, optional(s.TerminatingReplicas, path.Child("terminatingReplicas"))...)
	errs = append(errs, optional(s.CollisionCount, path.Child("collisionCount"))...)
	const total = "status.replicas"
	errs = append(errs, noGreater(s.UpdatedReplicas, s.Replicas, path.Child("updatedReplicas"), total)...)
	errs = append(errs, noGreater(s.ReadyReplicas, s.Replicas, path.Child("readyReplicas"), total)...)
	errs = append(errs, noGreater(s.AvailableReplicas, s.Replicas, path.Child("availableReplicas"), total)...)
	errs = append(errs, noGreater(s.AvailableReplicas, s.ReadyReplicas, path.Child("availableReplicas"), "readyReplicas")...)
	return append(errs, notDecremented(s.CollisionCount, old.Status.CollisionCount, path.Child("collisionCount"))...)
}
