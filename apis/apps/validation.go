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
)

var specPath = field.NewPath("spec")

func validateMeta(meta *metav1.ObjectMeta) field.ErrorList {
	return validation.ValidateObjectMeta(meta, true, validation.NameIsDNSSubdomain, field.NewPath("metadata"))
}

func validateMetaUpdate(meta, old *metav1.ObjectMeta) field.ErrorList {
	return validation.ValidateObjectMetaUpdate(meta, old, field.NewPath("metadata"))
}

// selectorOptions lets a stored selector keep label values that are invalid today.
func selectorOptions(old *metav1.LabelSelector) metav1validation.LabelSelectorValidationOptions {
	return metav1validation.LabelSelectorValidationOptions{AllowInvalidLabelValueInSelector: metav1validation.LabelSelectorHasInvalidLabelValue(old)}
}

// validateSelector validates the selector of a workload and that its template
// matches it.
func validateSelector(kind string, selector *metav1.LabelSelector, template *corev1.PodTemplateSpec, opts metav1validation.LabelSelectorValidationOptions, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if selector == nil {
		return append(errs, field.Required(path.Child("selector"), ""))
	}
	errs = append(errs, metav1validation.ValidateLabelSelector(selector, opts, path.Child("selector"))...)
	if len(selector.MatchLabels)+len(selector.MatchExpressions) == 0 {
		errs = append(errs, field.Invalid(path.Child("selector"), selector, "empty selector is invalid for "+kind))
	}
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return append(errs, field.Invalid(path.Child("selector"), selector, "invalid label selector"))
	}
	if !parsed.Empty() && !parsed.Matches(labels.Set(template.Labels)) {
		errs = append(errs, field.Invalid(path.Child("template", "metadata", "labels"), template.Labels, "`selector` does not match template `labels`"))
	}
	return errs
}

// validateTemplate validates a pod template of a workload whose pods run forever.
func validateTemplate(kind string, template, old *corev1.PodTemplateSpec, replicas int32, path *field.Path) field.ErrorList {
	errs := validatePodTemplate(template, old, path)
	if replicas > 1 {
		errs = append(errs, validateReadOnlyDisks(template.Spec.Volumes, path.Child("spec", "volumes"))...)
	}
	if p := template.Spec.RestartPolicy; p != "" && p != corev1.RestartPolicyAlways {
		errs = append(errs, field.NotSupported(path.Child("spec", "restartPolicy"), p, []corev1.RestartPolicy{corev1.RestartPolicyAlways}))
	}
	if template.Spec.ActiveDeadlineSeconds != nil {
		errs = append(errs, field.Forbidden(path.Child("spec", "activeDeadlineSeconds"), fmt.Sprintf("activeDeadlineSeconds in %s is not Supported", kind)))
	}
	return errs
}

// validateReadOnlyDisks refuses to share a disk that only one node can write.
func validateReadOnlyDisks(volumes []corev1.Volume, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range volumes {
		v, at := &volumes[i], path.Index(i)
		if d := v.GCEPersistentDisk; d != nil && !d.ReadOnly {
			errs = append(errs, field.Invalid(at.Child("gcePersistentDisk", "readOnly"), false, "must be true for replicated pods > 1; GCE PD can only be mounted on multiple machines if it is read-only"))
		}
	}
	return errs
}

func nonnegative(value int32, path *field.Path) field.ErrorList {
	return validation.ValidateNonnegativeField(int64(value), path)
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
	return value.Type == intstr.Int && value.IntVal == 0
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

func notDecreasing(now, was *int32, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if now != nil {
		errs = nonnegative(*now, path)
	}
	if was != nil {
		var n int32
		if now != nil {
			n = *now
		}
		if n < *was {
			errs = append(errs, field.Invalid(path, n, "cannot be decremented"))
		}
	}
	return errs
}

type counts []struct {
	name  string
	value int32
}

func (c counts) nonnegative(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, n := range c {
		errs = append(errs, nonnegative(n.value, path.Child(n.name))...)
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
