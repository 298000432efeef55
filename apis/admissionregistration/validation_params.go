package admissionregistration

import (
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/internal/check"
)

func validateParamKind(k *admissionv1.ParamKind, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	at := path.Child("apiVersion")
	gv, err := schema.ParseGroupVersion(k.APIVersion)
	switch {
	case k.APIVersion == "":
		errs = append(errs, field.Required(at, ""))
	case err != nil:
		errs = append(errs, field.Invalid(at, k.APIVersion, err.Error()))
	default:
		if msgs := utilvalidation.IsDNS1123Subdomain(gv.Group); gv.Group != "" && len(msgs) > 0 {
			errs = append(errs, field.Invalid(at, gv.Group, strings.Join(msgs, ",")))
		}
		if gv.Version == "" {
			errs = append(errs, field.Invalid(at, k.APIVersion, "version must be specified"))
		} else if msgs := utilvalidation.IsDNS1035Label(gv.Version); len(msgs) > 0 {
			errs = append(errs, field.Invalid(at, gv.Version, strings.Join(msgs, ",")))
		}
	}
	if k.Kind == "" {
		errs = append(errs, field.Required(path.Child("kind"), ""))
	} else if msgs := utilvalidation.IsDNS1035Label(strings.ToLower(k.Kind)); len(msgs) > 0 {
		errs = append(errs, field.Invalid(path.Child("kind"), k.Kind, "may have mixed case, but should otherwise match: "+strings.Join(msgs, ",")))
	}
	return errs
}

// ValidateValidatingAdmissionPolicyBinding validates a new binding.
func ValidateValidatingAdmissionPolicyBinding(b *admissionv1.ValidatingAdmissionPolicyBinding) field.ErrorList {
	errs := append(validateMeta(&b.ObjectMeta), validateValidatingBinding(&b.Spec)...)
	errs = append(errs, validateStatic(b.Name)...)
	return append(errs, requireBinding(&b.Spec)...)
}

// ValidateValidatingAdmissionPolicyBindingUpdate validates a changed binding.
func ValidateValidatingAdmissionPolicyBindingUpdate(b, _ *admissionv1.ValidatingAdmissionPolicyBinding) field.ErrorList {
	errs := append(validateMeta(&b.ObjectMeta), validateValidatingBinding(&b.Spec)...)
	return append(errs, requireBinding(&b.Spec)...)
}

// requireBinding requires what upstream declares as required in the type; such
// errors come after all others.
func requireBinding(spec *admissionv1.ValidatingAdmissionPolicyBindingSpec) field.ErrorList {
	var errs field.ErrorList
	if spec.PolicyName == "" {
		errs = append(errs, field.Required(specPath.Child("policyName"), ""))
	}
	if len(spec.ValidationActions) == 0 {
		errs = append(errs, field.Required(specPath.Child("validationActions"), ""))
	}
	return errs
}

func validateValidatingBinding(spec *admissionv1.ValidatingAdmissionPolicyBindingSpec) field.ErrorList {
	errs := validateBinding(spec.PolicyName, spec.ParamRef, spec.MatchResources)
	path := specPath.Child("validationActions")
	seen := sets.New[admissionv1.ValidationAction]()
	for i, action := range spec.ValidationActions {
		errs = append(errs, check.OneOf(path.Index(i), action, admissionv1.Audit, admissionv1.Deny, admissionv1.Warn)...)
		if seen.Has(action) {
			errs = append(errs, field.Duplicate(path.Index(i), action))
		}
		seen.Insert(action)
	}
	if seen.HasAll(admissionv1.Deny, admissionv1.Warn) {
		errs = append(errs, field.Invalid(path, spec.ValidationActions,
			"must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)"))
	}
	return errs
}

// ValidateMutatingAdmissionPolicyBinding validates a new binding.
func ValidateMutatingAdmissionPolicyBinding(b *admissionv1.MutatingAdmissionPolicyBinding) field.ErrorList {
	errs := append(validateMeta(&b.ObjectMeta), validateMutatingBinding(&b.Spec)...)
	return append(errs, validateStatic(b.Name)...)
}

// ValidateMutatingAdmissionPolicyBindingUpdate validates a changed binding.
func ValidateMutatingAdmissionPolicyBindingUpdate(b, _ *admissionv1.MutatingAdmissionPolicyBinding) field.ErrorList {
	return append(validateMeta(&b.ObjectMeta), validateMutatingBinding(&b.Spec)...)
}

func validateMutatingBinding(spec *admissionv1.MutatingAdmissionPolicyBindingSpec) field.ErrorList {
	var errs field.ErrorList
	if spec.PolicyName == "" {
		errs = append(errs, field.Required(specPath.Child("policyName"), ""))
	}
	errs = append(errs, validateBinding(spec.PolicyName, spec.ParamRef, spec.MatchResources)...)
	return append(errs, validateMutable(spec.MatchResources, specPath.Child("matchResources"))...)
}

func validateBinding(policy string, ref *admissionv1.ParamRef, match *admissionv1.MatchResources) field.ErrorList {
	var errs field.ErrorList
	if policy != "" {
		for _, msg := range validation.NameIsDNSSubdomain(policy, false) {
			errs = append(errs, field.Invalid(specPath.Child("policyName"), policy, msg))
		}
	}
	errs = append(errs, validateParamRef(ref, specPath.Child("paramRef"))...)
	return append(errs, validateMatchResources(match, specPath.Child("matchResources"))...)
}

func validateParamRef(ref *admissionv1.ParamRef, path *field.Path) field.ErrorList {
	if ref == nil {
		return nil
	}
	var errs field.ErrorList
	const exclusive = "name and selector are mutually exclusive"
	if ref.Name != "" {
		for _, msg := range content.IsPathSegmentName(ref.Name) {
			errs = append(errs, field.Invalid(path.Child("name"), ref.Name, msg))
		}
		if ref.Selector != nil {
			errs = append(errs, field.Forbidden(path.Child("name"), exclusive))
		}
	}
	if ref.Selector != nil {
		errs = append(errs, metav1validation.ValidateLabelSelector(ref.Selector, metav1validation.LabelSelectorValidationOptions{}, path.Child("selector"))...)
		if ref.Name != "" {
			errs = append(errs, field.Forbidden(path.Child("selector"), exclusive))
		}
	}
	if ref.Name == "" && ref.Selector == nil {
		errs = append(errs, field.Required(path, "one of name or selector must be specified"))
	}
	at := path.Child("parameterNotFoundAction")
	if a := ref.ParameterNotFoundAction; a == nil || *a == "" {
		return append(errs, field.Required(at, ""))
	}
	return append(errs, check.OneOf(at, *ref.ParameterNotFoundAction, admissionv1.DenyAction, admissionv1.AllowAction)...)
}
