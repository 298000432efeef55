package policy

import (
	"slices"
	"strconv"
	"strings"

	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// legacyLabel distinguished empty selectors of policy/v1beta1 from those of v1.
const legacyLabel = "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match"

// DropLegacyLabel takes the label of policy/v1beta1 out of a selector that is new,
// unless the selector is that label alone; old is nil of a new object.
func DropLegacyLabel(pdb, old *policyv1.PodDisruptionBudget) {
	s := pdb.Spec.Selector
	none := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: legacyLabel, Operator: metav1.LabelSelectorOpExists}}}
	if s == nil || old != nil && equality.Semantic.DeepEqual(old.Spec.Selector, s) || equality.Semantic.DeepEqual(s, none) {
		return
	}
	s.MatchExpressions = slices.DeleteFunc(s.MatchExpressions, func(r metav1.LabelSelectorRequirement) bool { return r.Key == legacyLabel })
}

// ValidatePodDisruptionBudget validates a new PodDisruptionBudget. As upstream's it
// leaves metadata to the store, which accepts any name that can stand in a path.
func ValidatePodDisruptionBudget(pdb *policyv1.PodDisruptionBudget) field.ErrorList {
	return validateSpec(&pdb.Spec, metav1validation.LabelSelectorValidationOptions{}, field.NewPath("spec"))
}

// ValidatePodDisruptionBudgetUpdate validates a changed PodDisruptionBudget. A
// selector that was stored with invalid label values may keep them.
func ValidatePodDisruptionBudgetUpdate(pdb, old *policyv1.PodDisruptionBudget) field.ErrorList {
	var opts metav1validation.LabelSelectorValidationOptions
	opts.AllowInvalidLabelValueInSelector = len(metav1validation.ValidateLabelSelector(old.Spec.Selector, opts, nil)) > 0
	return validateSpec(&pdb.Spec, opts, field.NewPath("spec"))
}

func validateSpec(spec *policyv1.PodDisruptionBudgetSpec, opts metav1validation.LabelSelectorValidationOptions, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if spec.MinAvailable != nil && spec.MaxUnavailable != nil {
		errs = append(errs, field.Invalid(path, hub.Internal(spec), "minAvailable and maxUnavailable cannot be both set"))
	}
	if spec.MinAvailable != nil {
		errs = append(errs, validateCount(*spec.MinAvailable, path.Child("minAvailable"))...)
	}
	if spec.MaxUnavailable != nil {
		errs = append(errs, validateCount(*spec.MaxUnavailable, path.Child("maxUnavailable"))...)
	}
	errs = append(errs, metav1validation.ValidateLabelSelector(spec.Selector, opts, path.Child("selector"))...)
	if p := spec.UnhealthyPodEvictionPolicy; p != nil && *p != policyv1.IfHealthyBudget && *p != policyv1.AlwaysAllow {
		errs = append(errs, field.NotSupported(path.Child("unhealthyPodEvictionPolicy"), *p,
			[]policyv1.UnhealthyPodEvictionPolicyType{policyv1.AlwaysAllow, policyv1.IfHealthyBudget}))
	}
	return errs
}

// validateCount accepts a count of 0 or more or a percentage up to 100.
func validateCount(value intstr.IntOrString, path *field.Path) field.ErrorList {
	if value.Type == intstr.Int {
		return validation.ValidateNonnegativeField(int64(value.IntVal), path)
	}
	var errs field.ErrorList
	for _, msg := range utilvalidation.IsValidPercent(value.StrVal) {
		errs = append(errs, field.Invalid(path, value, msg))
	}
	if n, err := strconv.Atoi(strings.TrimSuffix(value.StrVal, "%")); len(errs) == 0 && (err != nil || n > 100) {
		errs = append(errs, field.Invalid(path, value, "must not be greater than 100%"))
	}
	return errs
}

// ValidatePodDisruptionBudgetStatusUpdate validates what the disruption
// controller or an eviction wrote.
func ValidatePodDisruptionBudgetStatusUpdate(pdb, _ *policyv1.PodDisruptionBudget) field.ErrorList {
	path, status := field.NewPath("status"), &pdb.Status
	errs := metav1validation.ValidateConditions(status.Conditions, path.Child("conditions"))
	for _, n := range []struct {
		name  string
		value int32
	}{
		{"disruptionsAllowed", status.DisruptionsAllowed},
		{"currentHealthy", status.CurrentHealthy},
		{"desiredHealthy", status.DesiredHealthy},
		{"expectedPods", status.ExpectedPods},
	} {
		errs = append(errs, validation.ValidateNonnegativeField(int64(n.value), path.Child(n.name))...)
	}
	return errs
}
