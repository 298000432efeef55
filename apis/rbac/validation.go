package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/api/validation/path"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateRole validates a new or changed Role; old is nil for a new one.
func ValidateRole(role, old *rbacv1.Role) field.ErrorList {
	var was *metav1.ObjectMeta
	if old != nil {
		was = &old.ObjectMeta
	}
	return append(validateMeta(&role.ObjectMeta, was, true), validateRules(role.Rules, true)...)
}

// ValidateClusterRole validates a new or changed ClusterRole; old is nil for a new one.
func ValidateClusterRole(role, old *rbacv1.ClusterRole) field.ErrorList {
	var was *metav1.ObjectMeta
	opts := metav1validation.LabelSelectorValidationOptions{}
	if old != nil {
		was = &old.ObjectMeta
		opts.AllowInvalidLabelValueInSelector = hasInvalidSelector(old.AggregationRule)
	}
	errs := append(validateMeta(&role.ObjectMeta, was, false), validateRules(role.Rules, false)...)
	if role.AggregationRule == nil {
		return errs
	}
	selectors := field.NewPath("aggregationRule", "clusterRoleSelectors")
	if len(role.AggregationRule.ClusterRoleSelectors) == 0 {
		errs = append(errs, field.Required(selectors, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
	}
	for i := range role.AggregationRule.ClusterRoleSelectors {
		errs = append(errs, metav1validation.ValidateLabelSelector(&role.AggregationRule.ClusterRoleSelectors[i], opts, selectors.Index(i))...)
	}
	return errs
}

func hasInvalidSelector(rule *rbacv1.AggregationRule) bool {
	if rule == nil {
		return false
	}
	for i := range rule.ClusterRoleSelectors {
		if metav1validation.LabelSelectorHasInvalidLabelValue(&rule.ClusterRoleSelectors[i]) {
			return true
		}
	}
	return false
}

func validateMeta(meta, old *metav1.ObjectMeta, namespaced bool) field.ErrorList {
	// Names of roles are free: system:node, https://example.com, ...
	errs := validation.ValidateObjectMeta(meta, namespaced, path.ValidatePathSegmentName, field.NewPath("metadata"))
	if old != nil {
		errs = append(errs, validation.ValidateObjectMetaUpdate(meta, old, field.NewPath("metadata"))...)
	}
	return errs
}

func validateRules(rules []rbacv1.PolicyRule, namespaced bool) field.ErrorList {
	var errs field.ErrorList
	for i := range rules {
		errs = append(errs, ValidatePolicyRule(&rules[i], namespaced, field.NewPath("rules").Index(i))...)
	}
	return errs
}

// ValidatePolicyRule validates one rule; namespaced rules cannot name URLs.
func ValidatePolicyRule(rule *rbacv1.PolicyRule, namespaced bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(rule.Verbs) == 0 {
		errs = append(errs, field.Required(path.Child("verbs"), "verbs must contain at least one value"))
	}
	if len(rule.NonResourceURLs) > 0 {
		if namespaced {
			errs = append(errs, field.Invalid(path.Child("nonResourceURLs"), rule.NonResourceURLs, "namespaced rules cannot apply to non-resource URLs"))
		}
		if len(rule.APIGroups) > 0 || len(rule.Resources) > 0 || len(rule.ResourceNames) > 0 {
			errs = append(errs, field.Invalid(path.Child("nonResourceURLs"), rule.NonResourceURLs, "rules cannot apply to both regular resources and non-resource URLs"))
		}
		return errs
	}
	if len(rule.APIGroups) == 0 {
		errs = append(errs, field.Required(path.Child("apiGroups"), "resource rules must supply at least one api group"))
	}
	if len(rule.Resources) == 0 {
		errs = append(errs, field.Required(path.Child("resources"), "resource rules must supply at least one resource"))
	}
	return errs
}

// ValidateRoleBinding validates a new or changed RoleBinding; old is nil for a new one.
func ValidateRoleBinding(b, old *rbacv1.RoleBinding) field.ErrorList {
	var was *metav1.ObjectMeta
	var ref *rbacv1.RoleRef
	if old != nil {
		was, ref = &old.ObjectMeta, &old.RoleRef
	}
	errs := append(validateMeta(&b.ObjectMeta, was, true), validateRef(b.RoleRef, ref, []string{"Role", "ClusterRole"})...)
	return append(errs, validateSubjects(b.Subjects, true)...)
}

// ValidateClusterRoleBinding validates a new or changed ClusterRoleBinding; old is nil for a new one.
func ValidateClusterRoleBinding(b, old *rbacv1.ClusterRoleBinding) field.ErrorList {
	var was *metav1.ObjectMeta
	var ref *rbacv1.RoleRef
	if old != nil {
		was, ref = &old.ObjectMeta, &old.RoleRef
	}
	errs := append(validateMeta(&b.ObjectMeta, was, false), validateRef(b.RoleRef, ref, []string{"ClusterRole"})...)
	return append(errs, validateSubjects(b.Subjects, false)...)
}

func validateRef(ref rbacv1.RoleRef, old *rbacv1.RoleRef, kinds []string) field.ErrorList {
	var errs field.ErrorList
	at := field.NewPath("roleRef")
	if old != nil && *old != ref {
		errs = append(errs, field.Invalid(at, ref, "cannot change roleRef"))
	}
	if ref.APIGroup != rbacv1.GroupName {
		errs = append(errs, field.NotSupported(at.Child("apiGroup"), ref.APIGroup, []string{rbacv1.GroupName}))
	}
	known := false
	for _, kind := range kinds {
		known = known || kind == ref.Kind
	}
	if !known {
		errs = append(errs, field.NotSupported(at.Child("kind"), ref.Kind, kinds))
	}
	if ref.Name == "" {
		return append(errs, field.Required(at.Child("name"), ""))
	}
	for _, msg := range path.ValidatePathSegmentName(ref.Name, false) {
		errs = append(errs, field.Invalid(at.Child("name"), ref.Name, msg))
	}
	return errs
}

func validateSubjects(subjects []rbacv1.Subject, namespaced bool) field.ErrorList {
	var errs field.ErrorList
	for i := range subjects {
		errs = append(errs, validateSubject(&subjects[i], namespaced, field.NewPath("subjects").Index(i))...)
	}
	return errs
}

func validateSubject(s *rbacv1.Subject, namespaced bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), ""))
	}
	group := rbacv1.GroupName
	switch s.Kind {
	case rbacv1.ServiceAccountKind:
		group = ""
		if s.Name != "" {
			for _, msg := range validation.ValidateServiceAccountName(s.Name, false) {
				errs = append(errs, field.Invalid(at.Child("name"), s.Name, msg))
			}
		}
		if !namespaced && s.Namespace == "" {
			errs = append(errs, field.Required(at.Child("namespace"), ""))
		}
	case rbacv1.UserKind, rbacv1.GroupKind:
	default:
		return append(errs, field.NotSupported(at.Child("kind"), s.Kind, []string{rbacv1.ServiceAccountKind, rbacv1.UserKind, rbacv1.GroupKind}))
	}
	if s.APIGroup != group {
		errs = append(errs, field.NotSupported(at.Child("apiGroup"), s.APIGroup, []string{group}))
	}
	return errs
}
