package authorization

import (
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/hub"
)

var specPath = field.NewPath("spec")

const exactlyOne = "exactly one of nonResourceAttributes or resourceAttributes must be specified"

// ValidateSubjectAccessReview validates a review of any user's access.
func ValidateSubjectAccessReview(r *authorizationv1.SubjectAccessReview) field.ErrorList {
	return append(validateSpec(r.Spec), emptyMeta(r.ObjectMeta, false, "must be empty")...)
}

// ValidateSelfSubjectAccessReview checks a question about the asker.
func ValidateSelfSubjectAccessReview(r *authorizationv1.SelfSubjectAccessReview) field.ErrorList {
	errs := validateOne(r.Spec.ResourceAttributes, r.Spec.NonResourceAttributes)
	errs = append(errs, validateSelectors(r.Spec.ResourceAttributes)...)
	return append(errs, emptyMeta(r.ObjectMeta, false, "must be empty")...)
}

// ValidateLocalSubjectAccessReview checks a question within one namespace.
func ValidateLocalSubjectAccessReview(r *authorizationv1.LocalSubjectAccessReview) field.ErrorList {
	errs := append(validateSpec(r.Spec), emptyMeta(r.ObjectMeta, true, "must be empty except for namespace")...)
	if a := r.Spec.ResourceAttributes; a != nil && a.Namespace != r.Namespace {
		errs = append(errs, field.Invalid(specPath.Child("resourceAttributes", "namespace"), a.Namespace, "must match metadata.namespace"))
	}
	if a := r.Spec.NonResourceAttributes; a != nil {
		errs = append(errs, field.Invalid(specPath.Child("nonResourceAttributes"), hub.Internal(a), "disallowed on this kind of request"))
	}
	return errs
}

func emptyMeta(m metav1.ObjectMeta, namespaced bool, message string) field.ErrorList {
	relevant := m
	relevant.ManagedFields = nil
	if namespaced {
		relevant.Namespace = ""
	}
	if !equality.Semantic.DeepEqual(metav1.ObjectMeta{}, relevant) {
		return field.ErrorList{field.Invalid(field.NewPath("metadata"), m, message)}
	}
	return nil
}

func validateSpec(s authorizationv1.SubjectAccessReviewSpec) field.ErrorList {
	errs := validateOne(s.ResourceAttributes, s.NonResourceAttributes)
	if s.User == "" && len(s.Groups) == 0 {
		errs = append(errs, field.Invalid(specPath.Child("user"), s.User, "at least one of user or group must be specified"))
	}
	return append(errs, validateSelectors(s.ResourceAttributes)...)
}

func validateOne(resource *authorizationv1.ResourceAttributes, other *authorizationv1.NonResourceAttributes) field.ErrorList {
	if (resource == nil) == (other == nil) {
		return field.ErrorList{field.Invalid(specPath, hub.Internal(other), exactlyOne)}
	}
	return nil
}

func validateSelectors(r *authorizationv1.ResourceAttributes) field.ErrorList {
	if r == nil {
		return nil
	}
	path := specPath.Child("resourceAttributes")
	return append(fieldSelector(r.FieldSelector, path.Child("fieldSelector")), labelSelector(r.LabelSelector, path.Child("labelSelector"))...)
}

func fieldSelector(s *authorizationv1.FieldSelectorAttributes, path *field.Path) field.ErrorList {
	if s == nil {
		return nil
	}
	errs := oneForm(s.RawSelector, len(s.Requirements), path)
	opts := metav1validation.FieldSelectorValidationOptions{AllowUnknownOperatorInRequirement: true}
	for i, r := range s.Requirements {
		errs = append(errs, metav1validation.ValidateFieldSelectorRequirement(r, opts, path.Child("requirements").Index(i))...)
	}
	return errs
}

func labelSelector(s *authorizationv1.LabelSelectorAttributes, path *field.Path) field.ErrorList {
	if s == nil {
		return nil
	}
	errs := oneForm(s.RawSelector, len(s.Requirements), path)
	for i, r := range s.Requirements {
		errs = append(errs, metav1validation.ValidateLabelSelectorRequirement(r, metav1validation.LabelSelectorValidationOptions{AllowUnknownOperatorInRequirement: true}, path.Child("requirements").Index(i))...)
	}
	return errs
}

// oneForm validates that a selector is either text or requirements.
func oneForm(raw string, requirements int, path *field.Path) field.ErrorList {
	switch {
	case raw != "" && requirements > 0:
		return field.ErrorList{field.Invalid(path.Child("rawSelector"), raw, "may not specified at the same time as requirements")}
	case raw == "" && requirements == 0:
		return field.ErrorList{field.Required(path.Child("requirements"), "when "+path.String()+" is specified, requirements or rawSelector is required")}
	}
	return nil
}
