package admissionregistration

import (
	"fmt"
	"strings"

	celgo "github.com/google/cel-go/cel"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/client-go/util/jsonpath"

	"github.com/coracle-k8s/coracle/apis/internal/check"
)

var specPath = field.NewPath("spec")

// ValidateValidatingAdmissionPolicy validates a new policy and compiles its expressions.
func ValidateValidatingAdmissionPolicy(p *admissionv1.ValidatingAdmissionPolicy) field.ErrorList {
	errs := append(validateMeta(&p.ObjectMeta), validateValidating(p, nil)...)
	return append(errs, validateStatic(p.Name)...)
}

// ValidateValidatingAdmissionPolicyUpdate validates a changed policy.
func ValidateValidatingAdmissionPolicyUpdate(p, old *admissionv1.ValidatingAdmissionPolicy) field.ErrorList {
	return append(validateMeta(&p.ObjectMeta), validateValidating(p, old)...)
}

func validateValidating(p, old *admissionv1.ValidatingAdmissionPolicy) field.ErrorList {
	spec, path := &p.Spec, specPath
	stored, keeps := sets.New[string](), false
	if old != nil {
		for _, v := range old.Spec.Validations {
			stored.Insert(v.Expression, v.MessageExpression)
		}
		for _, a := range old.Spec.AuditAnnotations {
			stored.Insert(a.ValueExpression)
		}
		storedShared(stored, old.Spec.MatchConditions, old.Spec.Variables)
		keeps = equality.Semantic.DeepEqual(spec.ParamKind, old.Spec.ParamKind) && equality.Semantic.DeepEqual(spec.MatchConditions, old.Spec.MatchConditions)
	}
	e, err := newExpressions(spec.ParamKind, len(spec.Variables) > 0, stored)
	if err != nil {
		return field.ErrorList{field.InternalError(path, err)}
	}
	errs := validateShared(spec.FailurePolicy, spec.ParamKind, spec.MatchConstraints, path)
	if !keeps {
		errs = append(errs, validateMatchConditions(spec.MatchConditions, e, path.Child("matchConditions"))...)
	}
	errs = append(errs, validateVariables(spec.Variables, e, path.Child("variables"))...)
	if len(spec.Validations)+len(spec.AuditAnnotations) == 0 {
		const missing = "validations or auditAnnotations must contain at least one item"
		return append(errs, field.Required(path.Child("validations"), missing), field.Required(path.Child("auditAnnotations"), missing))
	}
	for i := range spec.Validations {
		errs = append(errs, validateValidation(&spec.Validations[i], e, path.Child("validations").Index(i))...)
	}
	return append(errs, validateAuditAnnotations(p.Name, spec.AuditAnnotations, e, path.Child("auditAnnotations"))...)
}

func storedShared(stored sets.Set[string], conditions []admissionv1.MatchCondition, variables []admissionv1.Variable) {
	for _, c := range conditions {
		stored.Insert(c.Expression)
	}
	for _, v := range variables {
		stored.Insert(v.Expression)
	}
}

// validateShared validates what both kinds of policies have.
func validateShared(failure *admissionv1.FailurePolicyType, params *admissionv1.ParamKind, match *admissionv1.MatchResources, path *field.Path) field.ErrorList {
	errs := check.SetOneOf(path.Child("failurePolicy"), failure, admissionv1.Fail, admissionv1.Ignore)
	if params != nil {
		errs = append(errs, validateParamKind(params, path.Child("paramKind"))...)
	}
	if match == nil {
		return append(errs, field.Required(path.Child("matchConstraints"), ""))
	}
	errs = append(errs, validateMatchResources(match, path.Child("matchConstraints"))...)
	if len(match.ResourceRules) == 0 { // they name the types that the expressions see
		errs = append(errs, field.Required(path.Child("matchConstraints", "resourceRules"), ""))
	}
	return errs
}

func validateValidation(v *admissionv1.Validation, e expressions, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if strings.TrimSpace(v.Expression) == "" {
		errs = append(errs, field.Required(path.Child("expression"), "expression is not specified"))
	} else {
		errs = append(errs, e.compile(v.Expression, e.options(), path.Child("expression"), celgo.BoolType)...)
	}
	const blank = "must be non-empty if specified"
	switch {
	case v.MessageExpression == "":
	case strings.TrimSpace(v.MessageExpression) == "":
		errs = append(errs, field.Invalid(path.Child("messageExpression"), v.MessageExpression, blank))
	default:
		sees := plugincel.OptionalVariableDeclarations{HasParams: e.params}
		errs = append(errs, e.compile(v.MessageExpression, sees, path.Child("messageExpression"), celgo.StringType)...)
	}
	switch message := strings.TrimSpace(v.Message); {
	case v.Message != "" && message == "":
		errs = append(errs, field.Invalid(path.Child("message"), v.Message, blank))
	case strings.ContainsAny(message, "\r\n"):
		errs = append(errs, field.Invalid(path.Child("message"), v.Message, "must not contain line breaks"))
	}
	return append(errs, check.OptionalOneOf(path.Child("reason"), v.Reason, metav1.StatusReasonForbidden, metav1.StatusReasonInvalid, metav1.StatusReasonRequestEntityTooLarge)...)
}

// An annotation's value is up to 10 KiB; what makes it is often shorter than it.
const maxAuditAnnotations, maxAuditExpression = 20, 5 * 1024

func validateAuditAnnotations(policy string, annotations []admissionv1.AuditAnnotation, e expressions, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(annotations) > maxAuditAnnotations {
		errs = append(errs, field.Invalid(path, annotations, fmt.Sprintf("must not have more than %d auditAnnotations", maxAuditAnnotations)))
	}
	keys := sets.New[string]()
	for i, a := range annotations {
		key, value := path.Index(i).Child("key"), path.Index(i).Child("valueExpression")
		if policy == "" {
			errs = append(errs, field.Invalid(key, a.Key, "requires metadata.name be non-empty"))
		} else {
			errs = append(errs, qualified(policy+"/"+a.Key, key)...)
		}
		switch text := strings.TrimSpace(a.ValueExpression); {
		case text == "":
			errs = append(errs, field.Required(value, "valueExpression is not specified"))
		case len(text) > maxAuditExpression:
			errs = append(errs, field.Required(value, fmt.Sprintf("must not exceed %d bytes in length", maxAuditExpression)))
		default:
			compiled := e.compiler().CompileCELExpression(expression{text: text, types: []*celgo.Type{celgo.StringType, celgo.NullType}}, e.options(), e.mode(a.ValueExpression))
			errs = append(errs, celErrors(compiled.Error, a.ValueExpression, value)...)
		}
		if keys.Has(a.Key) {
			errs = append(errs, field.Duplicate(key, a.Key))
		}
		keys.Insert(a.Key)
	}
	return errs
}

// ValidateValidatingAdmissionPolicyStatusUpdate validates what type checking found.
func ValidateValidatingAdmissionPolicyStatusUpdate(p, _ *admissionv1.ValidatingAdmissionPolicy) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("status")
	if p.Status.TypeChecking != nil {
		for i, w := range p.Status.TypeChecking.ExpressionWarnings {
			at := path.Child("typeChecking", "expressionWarnings").Index(i)
			if w.Warning == "" {
				errs = append(errs, field.Required(at.Child("warning"), ""))
			}
			ref := strings.TrimSpace(w.FieldRef)
			if ref == "" {
				errs = append(errs, field.Required(at.Child("fieldRef"), ""))
			} else if err := jsonpath.New("spec").Parse("{" + ref + "}"); err != nil {
				errs = append(errs, field.Invalid(at.Child("fieldRef"), ref, fmt.Sprintf("invalid JSONPath: %v", err)))
			}
		}
	}
	return append(errs, metav1validation.ValidateConditions(p.Status.Conditions, path.Child("conditions"))...)
}

// ValidateMutatingAdmissionPolicy validates a new policy and compiles its expressions.
func ValidateMutatingAdmissionPolicy(p *admissionv1.MutatingAdmissionPolicy) field.ErrorList {
	errs := append(validateMeta(&p.ObjectMeta), validateMutating(p, nil)...)
	return append(errs, validateStatic(p.Name)...)
}

// ValidateMutatingAdmissionPolicyUpdate validates a changed policy.
func ValidateMutatingAdmissionPolicyUpdate(p, old *admissionv1.MutatingAdmissionPolicy) field.ErrorList {
	return append(validateMeta(&p.ObjectMeta), validateMutating(p, old)...)
}

func validateMutating(p, old *admissionv1.MutatingAdmissionPolicy) field.ErrorList {
	spec, path := &p.Spec, specPath
	stored, keeps := sets.New[string](), false
	if old != nil {
		for _, m := range old.Spec.Mutations {
			if m.ApplyConfiguration != nil {
				stored.Insert(m.ApplyConfiguration.Expression)
			}
			if m.JSONPatch != nil {
				stored.Insert(m.JSONPatch.Expression)
			}
		}
		storedShared(stored, old.Spec.MatchConditions, old.Spec.Variables)
		keeps = equality.Semantic.DeepEqual(spec.ParamKind, old.Spec.ParamKind) && equality.Semantic.DeepEqual(spec.MatchConditions, old.Spec.MatchConditions)
	}
	e, err := newExpressions(spec.ParamKind, true, stored)
	if err != nil {
		return field.ErrorList{field.InternalError(path, err)}
	}
	errs := validateShared(spec.FailurePolicy, spec.ParamKind, spec.MatchConstraints, path)
	errs = append(errs, validateMutable(spec.MatchConstraints, path.Child("matchConstraints"))...)
	if !keeps {
		errs = append(errs, validateMatchConditions(spec.MatchConditions, e, path.Child("matchConditions"))...)
	}
	errs = append(errs, validateVariables(spec.Variables, e, path.Child("variables"))...)
	if len(spec.Mutations) == 0 {
		errs = append(errs, field.Required(path.Child("mutations"), "mutations must contain at least one item"))
	}
	for i := range spec.Mutations {
		errs = append(errs, validateMutation(&spec.Mutations[i], e, path.Child("mutations").Index(i))...)
	}
	if spec.ReinvocationPolicy == "" {
		return append(errs, field.Required(path.Child("reinvocationPolicy"), ""))
	}
	return append(errs, check.OneOf(path.Child("reinvocationPolicy"), spec.ReinvocationPolicy, admissionv1.IfNeededReinvocationPolicy, admissionv1.NeverReinvocationPolicy)...)
}

// validateMutable refuses operations that leave nothing to mutate.
func validateMutable(match *admissionv1.MatchResources, path *field.Path) field.ErrorList {
	if match == nil {
		return nil
	}
	var errs field.ErrorList
	for i := range match.ResourceRules {
		for _, operation := range match.ResourceRules[i].Operations {
			errs = append(errs, check.OneOf(path.Child("resourceRules", "operations"), operation, admissionv1.OperationAll, admissionv1.Connect, admissionv1.Create, admissionv1.Update)...)
		}
	}
	return errs
}

func validateMutation(m *admissionv1.Mutation, e expressions, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	apply, patch := path.Child("applyConfiguration"), path.Child("jsonPatch")
	switch m.PatchType {
	case "":
		return field.ErrorList{field.Required(path.Child("patchType"), "")}
	case admissionv1.PatchTypeJSONPatch:
		if m.JSONPatch == nil {
			errs = append(errs, field.Required(patch, "must be specified when patchType is JSONPatch"))
		} else {
			errs = append(errs, e.compilePatch(m.JSONPatch.Expression, patch, celgo.ListType(celgo.ObjectType("JSONPatch")))...)
		}
		if m.ApplyConfiguration != nil {
			errs = append(errs, field.Invalid(apply, "{applyConfiguration}", "must not be specified when patchType is JSONPatch"))
		}
	case admissionv1.PatchTypeApplyConfiguration:
		if m.ApplyConfiguration == nil {
			errs = append(errs, field.Required(apply, "must be specified when patchType is ApplyConfiguration"))
		} else {
			errs = append(errs, e.compilePatch(m.ApplyConfiguration.Expression, apply, celgo.ObjectType("Object"))...)
		}
		if m.JSONPatch != nil {
			errs = append(errs, field.Invalid(patch, "{jsonPatch}", "must not be specified when patchType is ApplyConfiguration"))
		}
	default:
		return check.OneOf(path.Child("patchType"), m.PatchType, admissionv1.PatchTypeApplyConfiguration, admissionv1.PatchTypeJSONPatch)
	}
	return errs
}

func (e expressions) compilePatch(text string, path *field.Path, kind *celgo.Type) field.ErrorList {
	if text = strings.TrimSpace(text); text == "" {
		return field.ErrorList{field.Required(path.Child("expression"), "")}
	}
	sees := e.options()
	sees.HasPatchTypes = true
	return e.compile(text, sees, path.Child("expression"), kind)
}
