package autoscaling

import (
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/validation/resources"
)

// source is one of the five sources a metric may have.
type source struct {
	kind     autoscalingv2.MetricSourceType
	name     string
	present  bool
	validate func(at *field.Path) field.ErrorList
}

func sources(m *autoscalingv2.MetricSpec, objects reference) []source {
	return []source{
		{autoscalingv2.ObjectMetricSourceType, "object", m.Object != nil, func(at *field.Path) field.ErrorList { return validateObject(m.Object, objects, at) }},
		{autoscalingv2.ExternalMetricSourceType, "external", m.External != nil, func(at *field.Path) field.ErrorList { return validateExternal(m.External, at) }},
		{autoscalingv2.PodsMetricSourceType, "pods", m.Pods != nil, func(at *field.Path) field.ErrorList { return validatePods(m.Pods, at) }},
		{autoscalingv2.ResourceMetricSourceType, "resource", m.Resource != nil, func(at *field.Path) field.ErrorList { return validateResource(m.Resource, at) }},
		{autoscalingv2.ContainerResourceMetricSourceType, "containerResource", m.ContainerResource != nil,
			func(at *field.Path) field.ErrorList { return validateContainerResource(m.ContainerResource, at) }},
	}
}

// validateMetric validates the first source that is there, and wants it to be
// the only one and that of the type.
func validateMetric(m *autoscalingv2.MetricSpec, objects reference, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if m.Type == "" {
		errs = append(errs, field.Required(at.Child("type"), "must specify a metric source type"))
	}
	var known []autoscalingv2.MetricSourceType
	var present, expected []string
	list := sources(m, objects)
	for _, s := range list {
		known = append(known, s.kind)
	}
	slices.Sort(known)
	if !slices.Contains(known, m.Type) {
		errs = append(errs, field.NotSupported(at.Child("type"), m.Type, known))
	}
	for _, s := range list {
		if s.present {
			if present = append(present, s.name); len(present) == 1 {
				errs = append(errs, s.validate(at.Child(s.name))...)
			}
		}
	}
	for _, s := range list {
		if s.kind != m.Type {
			continue
		}
		expected = append(expected, s.name)
		if !s.present {
			errs = append(errs, field.Required(at.Child(s.name), "must populate information for the given metric source"))
		}
	}
	if len(expected) == 0 {
		errs = append(errs, field.NotSupported(at.Child("type"), m.Type, known))
	}
	if len(present) != 1 {
		for _, name := range present {
			if !slices.Contains(expected, name) {
				errs = append(errs, field.Forbidden(at.Child(name), "must populate the given metric source only"))
			}
		}
	}
	return errs
}

func validateIdentifier(id autoscalingv2.MetricIdentifier, at *field.Path) field.ErrorList {
	return validateSegment(id.Name, "must specify a metric name", at.Child("metric", "name"))
}

func validateObject(s *autoscalingv2.ObjectMetricSource, objects reference, at *field.Path) field.ErrorList {
	errs := validateReference(s.DescribedObject, objects, at.Child("describedObject"))
	errs = append(errs, validateIdentifier(s.Metric, at)...)
	errs = append(errs, validateTarget(s.Target, at.Child("target"))...)
	if s.Target.Value == nil && s.Target.AverageValue == nil {
		errs = append(errs, field.Required(at.Child("target", "averageValue"), "must set either a target value or averageValue"))
	}
	return errs
}

func validateExternal(s *autoscalingv2.ExternalMetricSource, at *field.Path) field.ErrorList {
	errs := append(validateIdentifier(s.Metric, at), validateTarget(s.Target, at.Child("target"))...)
	switch value, average := s.Target.Value != nil, s.Target.AverageValue != nil; {
	case !value && !average:
		errs = append(errs, field.Required(at.Child("target", "averageValue"), "must set either a target value for metric or a per-pod target"))
	case value && average:
		errs = append(errs, field.Forbidden(at.Child("target", "value"), "may not set both a target value for metric and a per-pod target"))
	}
	return errs
}

func validatePods(s *autoscalingv2.PodsMetricSource, at *field.Path) field.ErrorList {
	errs := append(validateIdentifier(s.Metric, at), validateTarget(s.Target, at.Child("target"))...)
	if s.Target.AverageValue == nil {
		errs = append(errs, field.Required(at.Child("target", "averageValue"), "must specify a positive target averageValue"))
	}
	return errs
}

func validateResource(s *autoscalingv2.ResourceMetricSource, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), "must specify a resource name"))
	}
	return append(errs, validateUtilization(s.Target, at.Child("target"))...)
}

func validateContainerResource(s *autoscalingv2.ContainerResourceMetricSource, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), "must specify a resource name"))
	} else {
		errs = append(errs, resources.ContainerName(at.Child("name"), s.Name)...)
	}
	if s.Container == "" {
		errs = append(errs, field.Required(at.Child("container"), "must specify a container"))
	} else {
		for _, msg := range utilvalidation.IsDNS1123Label(s.Container) {
			errs = append(errs, field.Invalid(at.Child("container"), s.Container, msg))
		}
	}
	return append(errs, validateUtilization(s.Target, at.Child("target"))...)
}

// validateUtilization validates the target of a resource: a share of what is
// requested or an amount.
func validateUtilization(t autoscalingv2.MetricTarget, at *field.Path) field.ErrorList {
	errs := validateTarget(t, at)
	switch share, amount := t.AverageUtilization != nil, t.AverageValue != nil; {
	case !share && !amount:
		errs = append(errs, field.Required(at.Child("averageUtilization"), "must set either a target raw value or a target utilization"))
	case share && amount:
		errs = append(errs, field.Forbidden(at.Child("averageValue"), "may not set both a target raw value and a target utilization"))
	}
	return errs
}

func validateTarget(t autoscalingv2.MetricTarget, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if t.Type == "" {
		errs = append(errs, field.Required(at.Child("type"), "must specify a metric target type"))
	}
	if t.Type != autoscalingv2.UtilizationMetricType && t.Type != autoscalingv2.ValueMetricType && t.Type != autoscalingv2.AverageValueMetricType {
		errs = append(errs, field.Invalid(at.Child("type"), t.Type, "must be either Utilization, Value, or AverageValue"))
	}
	if t.Value != nil && t.Value.Sign() != 1 {
		errs = append(errs, field.Invalid(at.Child("value"), t.Value, "must be positive"))
	}
	if t.AverageValue != nil && t.AverageValue.Sign() != 1 {
		errs = append(errs, field.Invalid(at.Child("averageValue"), t.AverageValue, "must be positive"))
	}
	if t.AverageUtilization != nil && *t.AverageUtilization < 1 {
		errs = append(errs, field.Invalid(at.Child("averageUtilization"), t.AverageUtilization, "must be greater than 0"))
	}
	return errs
}
