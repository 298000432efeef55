package apps

import (
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/internal/check"
)

var specPath = field.NewPath("spec")

func validateMeta(meta *metav1.ObjectMeta) field.ErrorList {
	return validation.ValidateObjectMeta(meta, true, validation.NameIsDNSSubdomain, field.NewPath("metadata"))
}

func validateMetaUpdate(meta, old *metav1.ObjectMeta) field.ErrorList {
	return validation.ValidateObjectMetaUpdate(meta, old, field.NewPath("metadata"))
}

// validateSelected validates the selector of a workload, its template unless the
// selector is no selector at all, and that the two match. Nothing matches a
// selector that is missing.
func validateSelected(kind string, selector *metav1.LabelSelector, template, old *corev1.PodTemplateSpec) field.ErrorList {
	var errs field.ErrorList
	at := specPath.Child("selector")
	if selector == nil {
		errs = append(errs, field.Required(at, ""))
	} else {
		errs = append(errs, metav1validation.ValidateLabelSelector(selector, metav1validation.LabelSelectorValidationOptions{}, at)...)
		if len(selector.MatchLabels)+len(selector.MatchExpressions) == 0 {
			errs = append(errs, field.Invalid(at, selector, "empty selector is invalid for "+kind))
		}
	}
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return append(errs, field.Invalid(at, selector, "invalid label selector"))
	}
	path := specPath.Child("template")
	errs = append(errs, validateMatch(parsed, template, path)...)
	errs = append(errs, validatePodTemplate(template, old, path)...)
	return append(errs, validateLasting("ReplicaSet", template, path)...)
}

func validateMatch(selector labels.Selector, template *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
	if selector.Empty() || selector.Matches(labels.Set(template.Labels)) {
		return nil
	}
	return field.ErrorList{field.Invalid(path.Child("metadata", "labels"), template.Labels, "`selector` does not match template `labels`")}
}

// validateLasting validates what is special to templates of pods that run forever.
func validateLasting(kind string, template *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if p := template.Spec.RestartPolicy; p != corev1.RestartPolicyAlways {
		errs = append(errs, field.NotSupported(path.Child("spec", "restartPolicy"), p, []corev1.RestartPolicy{corev1.RestartPolicyAlways}))
	}
	if template.Spec.ActiveDeadlineSeconds != nil {
		errs = append(errs, field.Forbidden(path.Child("spec", "activeDeadlineSeconds"), fmt.Sprintf("activeDeadlineSeconds in %s is not Supported", kind)))
	}
	return errs
}

// validateCount accepts a count of 0 or more or a percentage.
func validateCount(value intstr.IntOrString, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if value.Type == intstr.Int {
		return validation.ValidateNonnegativeField(int64(value.IntVal), path)
	}
	for _, msg := range utilvalidation.IsValidPercent(value.StrVal) {
		errs = append(errs, field.Invalid(path, value, msg))
	}
	return errs
}

// percent returns the number of a percentage.
func percent(value intstr.IntOrString) (int, bool) {
	var n int
	if value.Type != intstr.String || len(utilvalidation.IsValidPercent(value.StrVal)) > 0 {
		return 0, false
	}
	if _, err := fmt.Sscanf(value.StrVal, "%d%%", &n); err != nil {
		return 0, false
	}
	return n, true
}

func isZero(value intstr.IntOrString) bool {
	if n, ok := percent(value); ok {
		return n == 0
	}
	return value.IntValue() == 0 // of other text, too
}

func notMoreThan100Percent(value intstr.IntOrString, path *field.Path) field.ErrorList {
	if n, ok := percent(value); ok && n > 100 {
		return field.ErrorList{field.Invalid(path, value, "must not be greater than 100%")}
	}
	return nil
}

// noGreater reports a count that is larger than the one it is a part of.
func noGreater(value, of int32, path *field.Path, than string) field.ErrorList {
	if value > of {
		return field.ErrorList{field.Invalid(path, value, "cannot be greater than "+than)}
	}
	return nil
}

// notDecremented validates a count that only grows. It comes last, as upstream's.
func notDecremented(now, was *int32, path *field.Path) field.ErrorList {
	if was == nil || now != nil && *now >= *was {
		return nil
	}
	return field.ErrorList{field.Invalid(path, ptr.Deref(now, 0), "cannot be decremented")}
}

// optional validates a count that may be left out.
func optional(n *int32, path *field.Path) field.ErrorList {
	if n == nil {
		return nil
	}
	return check.Nonnegative(path, *n)
}

type counts []struct {
	name  string
	value int32
}

func (c counts) nonnegative(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, n := range c {
		errs = append(errs, check.Nonnegative(path.Child(n.name), n.value)...)
	}
	return errs
}

// ValidateControllerRevision validates a new ControllerRevision.
func ValidateControllerRevision(r *appsv1.ControllerRevision) field.ErrorList {
	errs, at := validateRevision(r), field.NewPath("data")
	var data any
	switch err := json.Unmarshal(r.Data.Raw, &data); {
	case r.Data.Raw == nil || err == nil && data == nil:
		return append(errs, field.Required(at, "data is mandatory"))
	case err != nil:
		return append(errs, field.Invalid(at, "<value omitted>", fmt.Sprintf("error parsing data: %v", err)))
	}
	if _, ok := data.(map[string]any); !ok {
		errs = append(errs, field.Required(at, "data must be a valid JSON object"))
	}
	return errs
}

func validateRevision(r *appsv1.ControllerRevision) field.ErrorList {
	return append(validateMeta(&r.ObjectMeta), validation.ValidateNonnegativeField(r.Revision, field.NewPath("revision"))...)
}

// ValidateControllerRevisionUpdate validates a changed ControllerRevision: its data never changes.
func ValidateControllerRevisionUpdate(r, old *appsv1.ControllerRevision) field.ErrorList {
	errs := append(validateMetaUpdate(&r.ObjectMeta, &old.ObjectMeta), validateRevision(r)...)
	return append(errs, validation.ValidateImmutableField(r.Data, old.Data, field.NewPath("data"))...)
}
