package admissionregistration

import (
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// StaticSuffix ends the names of objects that upstream reads from files at start.
// Such objects cannot be created through the API.
const StaticSuffix = ".static.k8s.io"

const staticMessage = `names ending with "` + StaticSuffix + `" are reserved for static manifest-based configurations and cannot be managed via the API`

var metaPath = field.NewPath("metadata")

func validateMeta(meta *metav1.ObjectMeta) field.ErrorList {
	return validation.ValidateObjectMeta(meta, false, validation.NameIsDNSSubdomain, metaPath)
}

// validateStatic refuses the reserved suffix for new objects, after everything
// else was validated; a stored name may keep it.
func validateStatic(name string) field.ErrorList {
	if !strings.HasSuffix(name, StaticSuffix) {
		return nil
	}
	return field.ErrorList{field.Invalid(metaPath.Child("name"), name, staticMessage)}
}

// NameWarnings warns of a stored name that is reserved today.
func NameWarnings(name string) []string {
	if strings.HasSuffix(name, StaticSuffix) {
		return []string{"metadata.name: " + staticMessage}
	}
	return nil
}

func validateFailurePolicy(p *admissionv1.FailurePolicyType, path *field.Path) field.ErrorList {
	return check.OptionalOneOf(path, p, admissionv1.Fail, admissionv1.Ignore)
}

func validateRules(rules []admissionv1.RuleWithOperations, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range rules {
		errs = append(errs, validateRule(&rules[i], path.Index(i))...)
	}
	return errs
}

func validateRule(rule *admissionv1.RuleWithOperations, path *field.Path) field.ErrorList {
	errs := validateOperations(rule.Operations, path.Child("operations"))
	errs = append(errs, aloneIfWildcard(rule.APIGroups, path.Child("apiGroups"), "API groups")...)
	errs = append(errs, aloneIfWildcard(rule.APIVersions, path.Child("apiVersions"), "API versions")...)
	for i, version := range rule.APIVersions {
		if version == "" {
			errs = append(errs, field.Required(path.Child("apiVersions").Index(i), ""))
		}
	}
	errs = append(errs, validateResources(rule.Resources, path.Child("resources"))...)
	return append(errs, check.OptionalOneOf(path.Child("scope"), rule.Scope, admissionv1.AllScopes, admissionv1.ClusterScope, admissionv1.NamespacedScope)...)
}

func validateOperations(operations []admissionv1.OperationType, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(operations) == 0 {
		errs = append(errs, field.Required(path, ""))
	}
	if len(operations) > 1 && slices.Contains(operations, admissionv1.OperationAll) {
		errs = append(errs, field.Invalid(path, operations, "if '*' is present, must not specify other operations"))
	}
	for i, operation := range operations {
		errs = append(errs, check.OneOf(path.Index(i), operation, admissionv1.OperationAll, admissionv1.Connect, admissionv1.Create, admissionv1.Delete, admissionv1.Update)...)
	}
	return errs
}

func aloneIfWildcard(values []string, path *field.Path, others string) field.ErrorList {
	if len(values) == 0 {
		return field.ErrorList{field.Required(path, "")}
	}
	if len(values) > 1 && slices.Contains(values, "*") {
		return field.ErrorList{field.Invalid(path, values, "if '*' is present, must not specify other "+others)}
	}
	return nil
}

// validateResources validates resources and subresources, as pods, pods/log,
// pods/*, */scale, * and */*, of which none may contain another.
func validateResources(resources []string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(resources) == 0 {
		errs = append(errs, field.Required(path, ""))
	}
	allOf, everywhere := sets.New[string](), sets.New[string]() // x/*, */x
	plain := false
	for i, r := range resources {
		if r == "" {
			errs = append(errs, field.Required(path.Index(i), ""))
			continue
		}
		resource, sub, ok := strings.Cut(r, "/")
		if !ok {
			// Upstream looks at the last plain resource only.
			plain = r != "*"
			continue
		}
		if allOf.Has(resource) {
			errs = append(errs, field.Invalid(path.Index(i), r, fmt.Sprintf("if '%s/*' is present, must not specify %s", resource, r)))
		}
		if everywhere.Has(sub) {
			errs = append(errs, field.Invalid(path.Index(i), r, fmt.Sprintf("if '*/%s' is present, must not specify %s", sub, r)))
		}
		if sub == "*" {
			allOf.Insert(resource)
		}
		if resource == "*" {
			everywhere.Insert(sub)
		}
	}
	if len(resources) > 1 && slices.Contains(resources, "*/*") {
		errs = append(errs, field.Invalid(path, resources, "if '*/*' is present, must not specify other resources"))
	}
	if plain && slices.Contains(resources, "*") {
		errs = append(errs, field.Invalid(path, resources, "if '*' is present, must not specify other resources without subresources"))
	}
	return errs
}

func validateMatchResources(m *admissionv1.MatchResources, path *field.Path) field.ErrorList {
	if m == nil {
		return nil
	}
	errs := check.SetOneOf(path.Child("matchPolicy"), m.MatchPolicy, admissionv1.Equivalent, admissionv1.Exact)
	errs = append(errs, requiredSelector(m.NamespaceSelector, path.Child("namespaceSelector"))...)
	errs = append(errs, requiredSelector(m.ObjectSelector, path.Child("objectSelector"))...)
	errs = append(errs, validateNamedRules(m.ResourceRules, path.Child("resourceRules"))...)
	return append(errs, validateNamedRules(m.ExcludeResourceRules, path.Child("excludeResourceRules"))...)
}

func requiredSelector(s *metav1.LabelSelector, path *field.Path) field.ErrorList {
	if s == nil {
		return field.ErrorList{field.Required(path, "")}
	}
	return metav1validation.ValidateLabelSelector(s, metav1validation.LabelSelectorValidationOptions{}, path)
}

func validateNamedRules(rules []admissionv1.NamedRuleWithOperations, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range rules {
		rule, seen := &rules[i], sets.New[string]()
		for j, name := range rule.ResourceNames {
			at := path.Index(i).Child("resourceNames").Index(j)
			for _, msg := range content.IsPathSegmentName(name) {
				errs = append(errs, field.Invalid(at, name, msg))
			}
			if seen.Has(name) {
				errs = append(errs, field.Duplicate(at, name))
			}
			seen.Insert(name)
		}
		errs = append(errs, validateRule(&rule.RuleWithOperations, path.Index(i))...)
	}
	return errs
}
