package rbac

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/hub"
)

var metaPath = field.NewPath("metadata")

// ValidateRole validates a new or changed Role; old is nil for a new one.
func ValidateRole(role, old *rbacv1.Role) field.ErrorList {
	var was *metav1.ObjectMeta
	if old != nil {
		was = &old.ObjectMeta
	}
	errs := validation.ValidateObjectMeta(&role.ObjectMeta, true, isName, metaPath)
	errs = append(errs, validateRules(role.Rules, true)...)
	errs = append(errs, validateMetaUpdate(&role.ObjectMeta, was)...)
	return append(errs, declaredRules(role.Rules)...)
}

// ValidateClusterRole validates a new or changed ClusterRole; old is nil for a new one.
func ValidateClusterRole(role, old *rbacv1.ClusterRole) field.ErrorList {
	var was *metav1.ObjectMeta
	opts := metav1validation.LabelSelectorValidationOptions{}
	if old != nil {
		was = &old.ObjectMeta
		opts.AllowInvalidLabelValueInSelector = hasInvalidSelector(old.AggregationRule)
	}
	errs := validation.ValidateObjectMeta(&role.ObjectMeta, false, isName, metaPath)
	errs = append(errs, validateRules(role.Rules, false)...)
	if role.AggregationRule != nil {
		errs = append(errs, validateAggregation(role.AggregationRule, opts)...)
	}
	errs = append(errs, validateMetaUpdate(&role.ObjectMeta, was)...)
	return append(errs, declaredRules(role.Rules)...)
}

func validateAggregation(rule *rbacv1.AggregationRule, opts metav1validation.LabelSelectorValidationOptions) field.ErrorList {
	var errs field.ErrorList
	selectors := field.NewPath("aggregationRule", "clusterRoleSelectors")
	if len(rule.ClusterRoleSelectors) == 0 {
		errs = append(errs, field.Required(selectors, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
	}
	for i := range rule.ClusterRoleSelectors {
		s := &rule.ClusterRoleSelectors[i]
		errs = append(errs, metav1validation.ValidateLabelSelector(s, opts, selectors.Index(i))...)
		if _, err := metav1.LabelSelectorAsSelector(s); err != nil {
			errs = append(errs, field.Invalid(selectors.Index(i), nil, "invalid label selector."))
		}
	}
	return errs
}

// hasInvalidSelector reports whether a stored rule selects in a way that is invalid
// today.
func hasInvalidSelector(rule *rbacv1.AggregationRule) bool {
	if rule == nil {
		return false
	}
	for i := range rule.ClusterRoleSelectors {
		if len(metav1validation.ValidateLabelSelector(&rule.ClusterRoleSelectors[i], metav1validation.LabelSelectorValidationOptions{}, nil)) > 0 {
			return true
		}
	}
	return false
}

// isName accepts whatever can stand in a path: system:masters is a name.
func isName(name string, _ bool) []string { return content.IsPathSegmentName(name) }

func validateMetaUpdate(meta, old *metav1.ObjectMeta) field.ErrorList {
	if old == nil {
		return nil
	}
	return validation.ValidateObjectMetaUpdate(meta, old, metaPath)
}

// declaredRules and declaredBinding are the rules that upstream declares beside the
// types: their errors come after all others and have no hints.
func declaredRules(rules []rbacv1.PolicyRule) field.ErrorList {
	var errs field.ErrorList
	for i := range rules {
		if len(rules[i].Verbs) == 0 {
			errs = append(errs, field.Required(field.NewPath("rules").Index(i).Child("verbs"), ""))
		}
	}
	return errs
}

func declaredBinding(subjects []rbacv1.Subject, ref rbacv1.RoleRef, old *rbacv1.RoleRef) field.ErrorList {
	var errs field.ErrorList
	for i := range subjects {
		if subjects[i].Name == "" {
			errs = append(errs, field.Required(field.NewPath("subjects").Index(i).Child("name"), ""))
		}
	}
	if ref.Name == "" && old == nil {
		errs = append(errs, field.Required(field.NewPath("roleRef", "name"), ""))
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
	errs := validation.ValidateObjectMeta(&b.ObjectMeta, true, isName, metaPath)
	errs = append(errs, validateRef(b.RoleRef, ref, "Role", "ClusterRole")...)
	errs = append(errs, validateSubjects(b.Subjects, true)...)
	errs = append(errs, validateMetaUpdate(&b.ObjectMeta, was)...)
	errs = append(errs, validateRefUpdate(b.RoleRef, ref)...)
	return append(errs, declaredBinding(b.Subjects, b.RoleRef, ref)...)
}

// ValidateClusterRoleBinding validates a new or changed ClusterRoleBinding; old is nil for a new one.
func ValidateClusterRoleBinding(b, old *rbacv1.ClusterRoleBinding) field.ErrorList {
	var was *metav1.ObjectMeta
	var ref *rbacv1.RoleRef
	if old != nil {
		was, ref = &old.ObjectMeta, &old.RoleRef
	}
	errs := validation.ValidateObjectMeta(&b.ObjectMeta, false, isName, metaPath)
	errs = append(errs, validateRef(b.RoleRef, ref, "ClusterRole")...)
	errs = append(errs, validateSubjects(b.Subjects, false)...)
	errs = append(errs, validateMetaUpdate(&b.ObjectMeta, was)...)
	errs = append(errs, validateRefUpdate(b.RoleRef, ref)...)
	return append(errs, declaredBinding(b.Subjects, b.RoleRef, ref)...)
}

// validateRefUpdate keeps a binding with its role: a user who may change the
// subjects of a binding may not have the right to bind another role.
func validateRefUpdate(ref rbacv1.RoleRef, old *rbacv1.RoleRef) field.ErrorList {
	if old == nil || *old == ref {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("roleRef"), hub.Internal(ref), validation.FieldImmutableErrorMsg)}
}

func validateRef(ref rbacv1.RoleRef, old *rbacv1.RoleRef, kinds ...string) field.ErrorList {
	var errs field.ErrorList
	at := field.NewPath("roleRef")
	if ref.APIGroup != rbacv1.GroupName {
		errs = append(errs, field.NotSupported(at.Child("apiGroup"), ref.APIGroup, []string{rbacv1.GroupName}))
	}
	if !slices.Contains(kinds, ref.Kind) {
		errs = append(errs, field.NotSupported(at.Child("kind"), ref.Kind, kinds))
	}
	switch {
	case ref.Name != "":
		for _, msg := range content.IsPathSegmentName(ref.Name) {
			errs = append(errs, field.Invalid(at.Child("name"), ref.Name, msg))
		}
	case old != nil: // that it changed keeps what is declared of it from being validated
		errs = append(errs, field.Required(at.Child("name"), ""))
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
	group := rbacv1.GroupName
	switch s.Kind {
	case rbacv1.ServiceAccountKind:
		group = ""
		if s.Name != "" {
			for _, msg := range validation.ValidateServiceAccountName(s.Name, false) {
				errs = append(errs, field.Invalid(at.Child("name"), s.Name, msg))
			}
		}
	case rbacv1.UserKind, rbacv1.GroupKind:
	default:
		return field.ErrorList{field.NotSupported(at.Child("kind"), s.Kind, []string{rbacv1.ServiceAccountKind, rbacv1.UserKind, rbacv1.GroupKind})}
	}
	if s.APIGroup != group {
		errs = append(errs, field.NotSupported(at.Child("apiGroup"), s.APIGroup, []string{group}))
	}
	if s.Kind == rbacv1.ServiceAccountKind && !namespaced && s.Namespace == "" {
		errs = append(errs, field.Required(at.Child("namespace"), ""))
	}
	return errs
}
