package autoscaling

import (
	"fmt"
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// Limits of scaling rules, in seconds.
const (
	maxPeriod = 1800
	maxWindow = 3600
)

// ValidateHorizontalPodAutoscaler validates a new HorizontalPodAutoscaler.
func ValidateHorizontalPodAutoscaler(h *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	errs := validation.ValidateObjectMeta(&h.ObjectMeta, true, validation.NameIsDNSSubdomain, field.NewPath("metadata"))
	return append(errs, validateSpec(&h.Spec, nil, field.NewPath("spec"))...)
}

// ValidateHorizontalPodAutoscalerUpdate validates a changed one. References
// whose apiVersion is stored wrong may stay so.
func ValidateHorizontalPodAutoscalerUpdate(h, old *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	errs := validation.ValidateObjectMetaUpdate(&h.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))
	return append(errs, validateSpec(&h.Spec, &old.Spec, field.NewPath("spec"))...)
}

// ValidateHorizontalPodAutoscalerStatusUpdate validates what the controller wrote.
func ValidateHorizontalPodAutoscalerStatusUpdate(h, old *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	errs := validation.ValidateObjectMetaUpdate(&h.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))
	at := field.NewPath("status")
	for i, c := range h.Status.Conditions {
		if c.ObservedGeneration != nil {
			errs = append(errs, validation.ValidateNonnegativeField(*c.ObservedGeneration, at.Child("conditions").Index(i).Child("observedGeneration"))...)
		}
	}
	errs = append(errs, validation.ValidateNonnegativeField(int64(h.Status.CurrentReplicas), at.Child("currentReplicas"))...)
	return append(errs, validation.ValidateNonnegativeField(int64(h.Status.DesiredReplicas), at.Child("desiredReplicas"))...)
}

func validateSpec(s, old *autoscalingv2.HorizontalPodAutoscalerSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.MinReplicas != nil && s.MaxReplicas < *s.MinReplicas {
		errs = append(errs, field.Invalid(at.Child("maxReplicas"), s.MaxReplicas, "must be greater than or equal to `minReplicas`"))
	}
	errs = append(errs, validateReference(s.ScaleTargetRef, targetReference(s.ScaleTargetRef, old), at.Child("scaleTargetRef"))...)
	objects, external := reference{coreGroup: true, anyVersion: badObject(old)}, false
	for i := range s.Metrics {
		m := &s.Metrics[i]
		errs = append(errs, validateMetric(m, objects, at.Child("metrics").Index(i))...)
		external = external || m.Type == autoscalingv2.ObjectMetricSourceType || m.Type == autoscalingv2.ExternalMetricSourceType
	}
	if s.MinReplicas != nil && *s.MinReplicas == 0 && !external {
		errs = append(errs, field.Forbidden(at.Child("metrics"), "must specify at least one Object or External metric to support scaling to zero replicas"))
	}
	if b := s.Behavior; b != nil {
		errs = append(errs, validateRules(b.ScaleUp, at.Child("behavior", "scaleUp"))...)
		errs = append(errs, validateRules(b.ScaleDown, at.Child("behavior", "scaleDown"))...)
	}
	return append(errs, declared(s, at)...)
}

// declared validates the rules that upstream declares beside the types: their
// errors come after all others and have no hints.
func declared(s *autoscalingv2.HorizontalPodAutoscalerSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.MinReplicas != nil && *s.MinReplicas < 0 {
		errs = append(errs, field.Invalid(at.Child("minReplicas"), *s.MinReplicas, "must be greater than or equal to 0"))
	}
	switch {
	case s.MaxReplicas == 0:
		errs = append(errs, field.Required(at.Child("maxReplicas"), ""))
	case s.MaxReplicas < 0:
		errs = append(errs, field.Invalid(at.Child("maxReplicas"), s.MaxReplicas, "must be greater than or equal to 1"))
	}
	return errs
}

// reference holds which values the apiVersion of a reference may have.
type reference struct {
	coreGroup  bool // nothing, or the core group
	anyVersion bool // anything, because it is stored so
}

func (r reference) check(apiVersion string) error {
	if r.anyVersion {
		return nil
	}
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		return err
	}
	if gv.Group == "" && !r.coreGroup {
		return fmt.Errorf("apiVersion must specify API group")
	}
	return nil
}

// targetReference lets an apiVersion stay that was stored, and be left out for
// the one kind of the core group that scales.
func targetReference(ref autoscalingv2.CrossVersionObjectReference, old *autoscalingv2.HorizontalPodAutoscalerSpec) reference {
	if old != nil && old.ScaleTargetRef.APIVersion == ref.APIVersion && old.ScaleTargetRef.Kind == ref.Kind {
		return reference{anyVersion: true}
	}
	return reference{coreGroup: ref.Kind == "ReplicationController"}
}

func badObject(old *autoscalingv2.HorizontalPodAutoscalerSpec) bool {
	return old != nil && slices.ContainsFunc(old.Metrics, func(m autoscalingv2.MetricSpec) bool {
		return m.Type == autoscalingv2.ObjectMetricSourceType && m.Object != nil && reference{coreGroup: true}.check(m.Object.DescribedObject.APIVersion) != nil
	})
}

func validateReference(ref autoscalingv2.CrossVersionObjectReference, opts reference, at *field.Path) field.ErrorList {
	errs := validateSegment(ref.Kind, "", at.Child("kind"))
	errs = append(errs, validateSegment(ref.Name, "", at.Child("name"))...)
	if err := opts.check(ref.APIVersion); err != nil {
		errs = append(errs, field.Invalid(at.Child("apiVersion"), ref.APIVersion, err.Error()))
	}
	return errs
}

// validateSegment wants what can be one segment of a URL's path.
func validateSegment(value, required string, at *field.Path) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(at, required)}
	}
	var errs field.ErrorList
	for _, msg := range content.IsPathSegmentName(value) {
		errs = append(errs, field.Invalid(at, value, msg))
	}
	return errs
}

func validateRules(r *autoscalingv2.HPAScalingRules, at *field.Path) field.ErrorList {
	if r == nil {
		return nil
	}
	var errs field.ErrorList
	if w := r.StabilizationWindowSeconds; ptr.Deref(w, 0) < 0 {
		errs = append(errs, field.Invalid(at.Child("stabilizationWindowSeconds"), w, "must be greater than or equal to zero"))
	} else if ptr.Deref(w, 0) > maxWindow {
		errs = append(errs, field.Invalid(at.Child("stabilizationWindowSeconds"), w, fmt.Sprintf("must be less than or equal to %v", maxWindow)))
	}
	known := []autoscalingv2.ScalingPolicySelect{autoscalingv2.DisabledPolicySelect, autoscalingv2.MaxChangePolicySelect, autoscalingv2.MinChangePolicySelect}
	if r.SelectPolicy != nil && !slices.Contains(known, *r.SelectPolicy) {
		errs = append(errs, field.NotSupported(at.Child("selectPolicy"), *r.SelectPolicy, known))
	}
	if len(r.Policies) == 0 {
		errs = append(errs, field.Required(at.Child("policies"), "must specify at least one Policy"))
	}
	for i, p := range r.Policies {
		errs = append(errs, validatePolicy(p, at.Child("policies").Index(i))...)
	}
	if q := r.Tolerance; q != nil && q.Sign() < 0 {
		errs = append(errs, field.Invalid(at.Child("tolerance"), q.String(), validation.IsNegativeErrorMsg))
	}
	return errs
}

func validatePolicy(p autoscalingv2.HPAScalingPolicy, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	known := []autoscalingv2.HPAScalingPolicyType{autoscalingv2.PercentScalingPolicy, autoscalingv2.PodsScalingPolicy}
	if !slices.Contains(known, p.Type) {
		errs = append(errs, field.NotSupported(at.Child("type"), p.Type, known))
	}
	if p.Value <= 0 {
		errs = append(errs, field.Invalid(at.Child("value"), p.Value, "must be greater than zero"))
	}
	if p.PeriodSeconds <= 0 {
		errs = append(errs, field.Invalid(at.Child("periodSeconds"), p.PeriodSeconds, "must be greater than zero"))
	}
	if p.PeriodSeconds > maxPeriod {
		errs = append(errs, field.Invalid(at.Child("periodSeconds"), p.PeriodSeconds, fmt.Sprintf("must be less than or equal to %v", maxPeriod)))
	}
	return errs
}
