package flowcontrol

import (
	"fmt"
	"slices"
	"strings"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"

	"github.com/coracle-k8s/coracle/apis/hub"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

var (
	metaPath       = field.NewPath("metadata")
	specPath       = field.NewPath("spec")
	conditionsPath = field.NewPath("status", "conditions")
)

func verbs() []string {
	return []string{"create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"}
}

// ValidateFlowSchema validates a flow schema. Those that every server must have
// stay as they are.
func ValidateFlowSchema(fs *flowcontrolv1.FlowSchema) field.ErrorList {
	errs := validation.ValidateObjectMeta(&fs.ObjectMeta, false, validation.NameIsDNSSubdomain, metaPath)
	errs = append(errs, validateFlowSchemaSpec(fs.Name, &fs.Spec)...)
	for _, fixed := range bootstrap.MandatoryFlowSchemas {
		if fixed.Name == fs.Name && !equality.Semantic.DeepEqual(fs.Spec, fixed.Spec) {
			errs = append(errs, field.Invalid(specPath, hub.Internal(fs.Spec), fmt.Sprintf("spec of '%s' must equal the fixed value", fs.Name)))
		}
	}
	return append(errs, ValidateFlowSchemaStatusUpdate(fs, fs)...)
}

// ValidateFlowSchemaUpdate validates a changed flow schema.
func ValidateFlowSchemaUpdate(fs, _ *flowcontrolv1.FlowSchema) field.ErrorList {
	return ValidateFlowSchema(fs)
}

// ValidateFlowSchemaStatusUpdate validates the conditions of a flow schema.
func ValidateFlowSchemaStatusUpdate(fs, _ *flowcontrolv1.FlowSchema) field.ErrorList {
	types := make([]string, len(fs.Status.Conditions))
	for i, c := range fs.Status.Conditions {
		types[i] = string(c.Type)
	}
	return validateConditions(types)
}

func validateConditions(types []string) field.ErrorList {
	var errs field.ErrorList
	for i, t := range types {
		at := conditionsPath.Index(i).Child("type")
		if slices.Contains(types[:i], t) {
			errs = append(errs, field.Duplicate(at, t))
		}
		if t == "" {
			errs = append(errs, field.Required(at, ""))
		}
	}
	return errs
}

func validateFlowSchemaSpec(name string, spec *flowcontrolv1.FlowSchemaSpec) field.ErrorList {
	var errs field.ErrorList
	at, n := specPath.Child("matchingPrecedence"), spec.MatchingPrecedence
	switch {
	case n <= 0:
		errs = append(errs, field.Invalid(at, n, "must be a positive value"))
	case n > flowcontrolv1.FlowSchemaMaxMatchingPrecedence:
		errs = append(errs, field.Invalid(at, n, fmt.Sprintf("must not be greater than %v", flowcontrolv1.FlowSchemaMaxMatchingPrecedence)))
	case n == 1 && name != flowcontrolv1.FlowSchemaNameExempt:
		errs = append(errs, field.Invalid(at, n, "only the schema named 'exempt' may have matchingPrecedence 1"))
	}
	if d := spec.DistinguisherMethod; d != nil {
		known := []flowcontrolv1.FlowDistinguisherMethodType{flowcontrolv1.FlowDistinguisherMethodByNamespaceType, flowcontrolv1.FlowDistinguisherMethodByUserType}
		if !slices.Contains(known, d.Type) {
			errs = append(errs, field.NotSupported(specPath.Child("distinguisherMethod", "type"), hub.Internal(d), known))
		}
	}
	at = specPath.Child("priorityLevelConfiguration", "name")
	if level := spec.PriorityLevelConfiguration.Name; level == "" {
		errs = append(errs, field.Required(at, "must reference a priority level"))
	} else {
		for _, msg := range validation.NameIsDNSSubdomain(level, false) {
			errs = append(errs, field.Invalid(at, level, msg))
		}
	}
	for i := range spec.Rules {
		errs = append(errs, validateRules(&spec.Rules[i], specPath.Child("rules").Index(i))...)
	}
	return errs
}

func validateRules(rule *flowcontrolv1.PolicyRulesWithSubjects, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(rule.Subjects) == 0 {
		errs = append(errs, field.Required(path.Child("subjects"), "subjects must contain at least one value"))
	}
	for i := range rule.Subjects {
		errs = append(errs, validateSubject(&rule.Subjects[i], path.Child("subjects").Index(i))...)
	}
	if len(rule.ResourceRules)+len(rule.NonResourceRules) == 0 {
		errs = append(errs, field.Required(path, "at least one of resourceRules and nonResourceRules has to be non-empty"))
	}
	for i := range rule.ResourceRules {
		errs = append(errs, validateResourceRule(&rule.ResourceRules[i], path.Child("resourceRules").Index(i))...)
	}
	for i := range rule.NonResourceRules {
		errs = append(errs, validateURLRule(&rule.NonResourceRules[i], path.Child("nonResourceRules").Index(i))...)
	}
	return errs
}

func validateSubject(s *flowcontrolv1.Subject, path *field.Path) field.ErrorList {
	kinds := []subjectKind{
		{flowcontrolv1.SubjectKindServiceAccount, "serviceAccount", s.ServiceAccount != nil, func(at *field.Path) field.ErrorList { return validateAccount(s.ServiceAccount, at) }},
		{flowcontrolv1.SubjectKindUser, "user", s.User != nil, func(at *field.Path) field.ErrorList { return named(s.User.Name, at) }},
		{flowcontrolv1.SubjectKindGroup, "group", s.Group != nil, func(at *field.Path) field.ErrorList { return named(s.Group.Name, at) }},
	}
	i := slices.IndexFunc(kinds, func(k subjectKind) bool { return k.kind == s.Kind })
	if i < 0 {
		return check.OneOf(path.Child("kind"), s.Kind, flowcontrolv1.SubjectKindGroup, flowcontrolv1.SubjectKindServiceAccount, flowcontrolv1.SubjectKindUser)
	}
	var errs field.ErrorList
	if own := kinds[i]; own.set {
		errs = own.check(path.Child(own.name))
	} else {
		errs = append(errs, field.Required(path.Child(own.name), fmt.Sprintf("%s is required when subject kind is '%s'", own.name, own.kind)))
	}
	for _, k := range slices.Delete(kinds, i, i+1) {
		if k.set {
			errs = append(errs, field.Forbidden(path.Child(k.name), fmt.Sprintf("%s is forbidden when subject kind is not '%s'", k.name, k.kind)))
		}
	}
	return errs
}

// subjectKind is one of the ways to name a subject.
type subjectKind struct {
	kind  flowcontrolv1.SubjectKind
	name  string
	set   bool
	check func(*field.Path) field.ErrorList
}

func named(name string, path *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path.Child("name"), "")}
	}
	return nil
}

func validateAccount(s *flowcontrolv1.ServiceAccountSubject, path *field.Path) field.ErrorList {
	errs := named(s.Name, path)
	if s.Name != "" && s.Name != flowcontrolv1.NameAll {
		for _, msg := range validation.ValidateServiceAccountName(s.Name, false) {
			errs = append(errs, field.Invalid(path.Child("name"), s.Name, msg))
		}
	}
	if s.Namespace == "" {
		return append(errs, field.Required(path.Child("namespace"), "must specify namespace for service account"))
	}
	for _, msg := range validation.ValidateNamespaceName(s.Namespace, false) {
		errs = append(errs, field.Invalid(path.Child("namespace"), s.Namespace, msg))
	}
	return errs
}

// alone reports an empty list, or a wildcard that is not alone.
func alone(values []string, path *field.Path, missing, others string) field.ErrorList {
	if len(values) == 0 {
		return field.ErrorList{field.Required(path, missing)}
	}
	if len(values) > 1 && slices.Contains(values, "*") {
		return field.ErrorList{field.Invalid(path, values, "if '*' is present, must not specify other "+others)}
	}
	return nil
}

func validateVerbs(values []string, path *field.Path) field.ErrorList {
	errs := alone(values, path, "verbs must contain at least one value", "verbs")
	if !slices.Contains(values, "*") && slices.ContainsFunc(values, func(v string) bool { return !slices.Contains(verbs(), v) }) {
		errs = append(errs, field.NotSupported(path, values, verbs()))
	}
	return errs
}

func validateResourceRule(rule *flowcontrolv1.ResourcePolicyRule, path *field.Path) field.ErrorList {
	errs := validateVerbs(rule.Verbs, path.Child("verbs"))
	errs = append(errs, alone(rule.APIGroups, path.Child("apiGroups"), "resource rules must supply at least one api group", "api groups")...)
	errs = append(errs, alone(rule.Resources, path.Child("resources"), "resource rules must supply at least one resource", "resources")...)
	if at := path.Child("namespaces"); len(rule.Namespaces) > 0 || !rule.ClusterScope {
		errs = append(errs, alone(rule.Namespaces, at, "resource rules that are not cluster scoped must supply at least one namespace", "namespaces")...)
		for i, namespace := range rule.Namespaces {
			if slices.Contains(rule.Namespaces, flowcontrolv1.NamespaceEvery) {
				break
			}
			for _, msg := range validation.ValidateNamespaceName(namespace, false) {
				errs = append(errs, field.Invalid(at.Index(i), namespace, "each member of this list must be '*' or a DNS-1123 label; "+msg))
			}
		}
	}
	return errs
}

func validateURLRule(rule *flowcontrolv1.NonResourcePolicyRule, path *field.Path) field.ErrorList {
	errs := validateVerbs(rule.Verbs, path.Child("verbs"))
	at := path.Child("nonResourceURLs")
	errs = append(errs, alone(rule.NonResourceURLs, at, "nonResourceURLs must contain at least one value", "non-resource URLs")...)
	if slices.Contains(rule.NonResourceURLs, "*") {
		return errs
	}
	for i, url := range rule.NonResourceURLs {
		if msg := urlFault(url); msg != "" {
			errs = append(errs, field.Invalid(at.Index(i), url, msg))
		}
	}
	return errs
}

func urlFault(path string) string {
	switch stars := strings.Count(path, "*"); {
	case path == "":
		return "must not be empty"
	case path == "/":
		return ""
	case !strings.HasPrefix(path, "/"):
		return "must start with slash"
	case strings.Contains(path, " "):
		return "must not contain white-space"
	case strings.Contains(path, "//"):
		return "must not contain double slash"
	case stars > 1 || stars == 1 && !strings.HasSuffix(path, "/*"):
		return "wildcard can only do suffix matching"
	}
	return ""
}
