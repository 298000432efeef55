package authorization

import (
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateSubjectAccessReview checks a question about somebody.
func ValidateSubjectAccessReview(r *authorizationv1.SubjectAccessReview) field.ErrorList {
	return append(validateSpec(r.Spec), emptyMeta(r.ObjectMeta, "must be empty")...)
}

// ValidateSelfSubjectAccessReview checks a question about the asker.
func ValidateSelfSubjectAccessReview(r *authorizationv1.SelfSubjectAccessReview) field.ErrorList {
	path := field.NewPath("spec")
	errs := validateAttributes(r.Spec.ResourceAttributes, r.Spec.NonResourceAttributes, path)
	return append(errs, emptyMeta(r.ObjectMeta, "must be empty")...)
}

// ValidateSelfSubjectRulesReview checks a question for the asker's rules:
// nothing can be wrong with it.
func ValidateSelfSubjectRulesReview(*authorizationv1.SelfSubjectRulesReview) field.ErrorList {
	return nil
}

// ValidateLocalSubjectAccessReview checks a question within one namespace.
func ValidateLocalSubjectAccessReview(r *authorizationv1.LocalSubjectAccessReview) field.ErrorList {
	errs := validateSpec(r.Spec)
	meta := r.ObjectMeta
	meta.Namespace = ""
	errs = append(errs, emptyMeta(meta, "must be empty except for namespace")...)
	path := field.NewPath("spec")
	if a := r.Spec.ResourceAttributes; a != nil && a.Namespace != r.Namespace {
		errs = append(errs, field.Invalid(path.Child("resourceAttributes", "namespace"), a.Namespace, "must match metadata.namespace"))
	}
	if r.Spec.NonResourceAttributes != nil {
		errs = append(errs, field.Invalid(path.Child("nonResourceAttributes"), r.Spec.NonResourceAttributes, "disallowed on this kind of request"))
	}
	return errs
}

func emptyMeta(m metav1.ObjectMeta, message string) field.ErrorList {
	m.ManagedFields = nil
	if !equality.Semantic.DeepEqual(metav1.ObjectMeta{}, m) {
		return field.ErrorList{field.Invalid(field.NewPath("metadata"), m, message)}
	}
	return nil
}

func validateSpec(s authorizationv1.SubjectAccessReviewSpec) field.ErrorList {
	path := field.NewPath("spec")
	errs := validateAttributes(s.ResourceAttributes, s.NonResourceAttributes, path)
	if s.User == "" && len(s.Groups) == 0 {
		errs = append(errs, field.Invalid(path.Child("user"), s.User, "at least one of user or group must be specified"))
	}
	return errs
}

func validateAttributes(resource *authorizationv1.ResourceAttributes, other *authorizationv1.NonResourceAttributes, path *field.Path) field.ErrorList {
	switch {
	case resource != nil && other != nil:
		return field.ErrorList{field.Invalid(path.Child("nonResourceAttributes"), other, "cannot be specified in combination with resourceAttributes")}
	case resource == nil && other == nil:
		return field.ErrorList{field.Invalid(path.Child("resourceAttributes"), resource, "exactly one of nonResourceAttributes or resourceAttributes must be specified")}
	case other != nil:
		return nil
	}
	path = path.Child("resourceAttributes")
	return append(fieldSelector(resource.FieldSelector, path.Child("fieldSelector")), labelSelector(resource.LabelSelector, path.Child("labelSelector"))...)
}

func fieldSelector(s *authorizationv1.FieldSelectorAttributes, path *field.Path) field.ErrorList {
	if s == nil {
		return nil
	}
	errs := oneForm(s.RawSelector, len(s.Requirements), path)
	for i, r := range s.Requirements {
		at := path.Child("requirements").Index(i)
		if r.Key == "" {
			errs = append(errs, field.Required(at.Child("key"), "must be specified"))
		}
		switch r.Operator {
		case metav1.FieldSelectorOpIn, metav1.FieldSelectorOpNotIn:
			if len(r.Values) == 0 {
				errs = append(errs, field.Required(at.Child("values"), "must be specified when `operator` is 'In' or 'NotIn'"))
			}
		case metav1.FieldSelectorOpExists, metav1.FieldSelectorOpDoesNotExist:
			if len(r.Values) > 0 {
				errs = append(errs, field.Forbidden(at.Child("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
			}
		default:
			errs = append(errs, field.Invalid(at.Child("operator"), r.Operator, "not a valid selector operator"))
		}
	}
	return errs
}

func labelSelector(s *authorizationv1.LabelSelectorAttributes, path *field.Path) field.ErrorList {
	if s == nil {
		return nil
	}
	errs := oneForm(s.RawSelector, len(s.Requirements), path)
	for i, r := range s.Requirements {
		errs = append(errs, metav1validation.ValidateLabelSelectorRequirement(r, metav1validation.LabelSelectorValidationOptions{}, path.Child("requirements").Index(i))...)
	}
	return errs
}

// oneForm: a selector is either text or requirements.
func oneForm(raw string, requirements int, path *field.Path) field.ErrorList {
	switch {
	case raw != "" && requirements > 0:
		return field.ErrorList{field.Invalid(path.Child("rawSelector"), raw, "may not specified at the same time as requirements")}
	case raw == "" && requirements == 0:
		return field.ErrorList{field.Required(path.Child("requirements"), "when "+path.String()+" is specified, requirements or rawSelector is required")}
	}
	return nil
}
