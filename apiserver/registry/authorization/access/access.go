// Package access answers what the access reviews have in common: may this user
// do that?
package access

import (
	"context"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// Question is the part of a review that says what is to be done.
type Question struct {
	Resource    *authorizationv1.ResourceAttributes
	NonResource *authorizationv1.NonResourceAttributes
}

// Validate wants exactly one of the two, below spec.
func (q Question) Validate() field.ErrorList {
	spec := field.NewPath("spec")
	switch {
	case q.Resource != nil && q.NonResource != nil:
		return field.ErrorList{field.Invalid(spec.Child("nonResourceAttributes"), q.NonResource, "cannot be specified in combination with resourceAttributes")}
	case q.Resource == nil && q.NonResource == nil:
		return field.ErrorList{field.Invalid(spec.Child("resourceAttributes"), q.NonResource, "exactly one of nonResourceAttributes or resourceAttributes must be specified")}
	case q.Resource != nil:
		return validateSelectors(q.Resource, spec.Child("resourceAttributes"))
	}
	return nil
}

func validateSelectors(r *authorizationv1.ResourceAttributes, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	check := func(at *field.Path, raw string, requirements int) {
		switch {
		case raw != "" && requirements > 0:
			errs = append(errs, field.Invalid(at.Child("rawSelector"), raw, "may not specified at the same time as requirements"))
		case raw == "" && requirements == 0:
			errs = append(errs, field.Required(at.Child("requirements"), fmt.Sprintf("when %s is specified, requirements or rawSelector is required", at)))
		}
	}
	if s := r.FieldSelector; s != nil {
		check(path.Child("fieldSelector"), s.RawSelector, len(s.Requirements))
	}
	if s := r.LabelSelector; s != nil {
		check(path.Child("labelSelector"), s.RawSelector, len(s.Requirements))
	}
	return errs
}

// EmptyMeta wants no metadata beyond, for reviews in one, a namespace.
func EmptyMeta(meta metav1.ObjectMeta, namespaced bool) field.ErrorList {
	meta.ManagedFields = nil
	msg := "must be empty"
	if namespaced {
		meta.Namespace, msg = "", "must be empty except for namespace"
	}
	if meta.Name != "" || meta.GenerateName != "" || meta.Namespace != "" || len(meta.Labels)+len(meta.Annotations)+len(meta.Finalizers)+len(meta.OwnerReferences) > 0 {
		return field.ErrorList{field.Invalid(field.NewPath("metadata"), meta, msg)}
	}
	return nil
}

// Invalid is nil without errs.
func Invalid(kind string, errs field.ErrorList) error {
	if len(errs) == 0 {
		return nil
	}
	return apierrors.NewInvalid(schema.GroupKind{Group: authorizationv1.GroupName, Kind: kind}, "", errs)
}

// User makes the user of a review's spec.
func User(spec *authorizationv1.SubjectAccessReviewSpec) user.Info {
	u := &user.DefaultInfo{Name: spec.User, Groups: spec.Groups, UID: spec.UID}
	for key, values := range spec.Extra {
		if u.Extra == nil {
			u.Extra = map[string][]string{}
		}
		u.Extra[key] = values
	}
	return u
}

// Answer asks the server's authorizer. Without one everything is allowed.
func Answer(ctx context.Context, env registry.Env, u user.Info, q Question) authorizationv1.SubjectAccessReviewStatus {
	if env.Authorizer == nil {
		return authorizationv1.SubjectAccessReviewStatus{Allowed: true}
	}
	decision, reason, err := env.Authorizer.Authorize(ctx, q.attributes(u))
	status := authorizationv1.SubjectAccessReviewStatus{
		Allowed: decision == authorizer.DecisionAllow, Denied: decision == authorizer.DecisionDeny, Reason: reason,
	}
	if err != nil {
		status.EvaluationError = err.Error()
	}
	return status
}

func (q Question) attributes(u user.Info) authorizer.AttributesRecord {
	if q.NonResource != nil {
		return authorizer.AttributesRecord{User: u, Path: q.NonResource.Path, Verb: q.NonResource.Verb}
	}
	r := q.Resource
	a := authorizer.AttributesRecord{User: u, Verb: r.Verb, Namespace: r.Namespace, APIGroup: r.Group, APIVersion: r.Version,
		Resource: r.Resource, Subresource: r.Subresource, Name: r.Name, ResourceRequest: true}
	if a.APIVersion == "" {
		a.APIVersion = "*"
	}
	if r.FieldSelector != nil {
		a.FieldSelectorRequirements, a.FieldSelectorParsingErr = fieldRequirements(r.FieldSelector)
	}
	if r.LabelSelector != nil {
		a.LabelSelectorRequirements, a.LabelSelectorParsingErr = labelRequirements(r.LabelSelector)
	}
	return a
}

// fieldRequirements keeps what it understands: an authorizer that ignores a
// requirement only sees a broader request.
func fieldRequirements(s *authorizationv1.FieldSelectorAttributes) (fields.Requirements, error) {
	if s.RawSelector != "" {
		selector, err := fields.ParseSelector(s.RawSelector)
		if err != nil {
			return nil, fmt.Errorf("reading the field selector: %w", err)
		}
		return selector.Requirements(), nil
	}
	var known fields.Requirements
	var firstErr error
	for _, r := range s.Requirements {
		op, ok := map[metav1.FieldSelectorOperator]selection.Operator{metav1.FieldSelectorOpIn: selection.Equals, metav1.FieldSelectorOpNotIn: selection.NotEquals}[r.Operator]
		if !ok || len(r.Values) != 1 {
			if firstErr == nil {
				firstErr = fmt.Errorf("reading the field selector: %s %s with %d values is not supported", r.Key, r.Operator, len(r.Values))
			}
			continue
		}
		known = append(known, fields.Requirement{Field: r.Key, Operator: op, Value: r.Values[0]})
	}
	return known, firstErr
}

func labelRequirements(s *authorizationv1.LabelSelectorAttributes) (labels.Requirements, error) {
	if s.RawSelector != "" {
		selector, err := labels.Parse(s.RawSelector)
		if err != nil {
			return nil, fmt.Errorf("reading the label selector: %w", err)
		}
		requirements, _ := selector.Requirements()
		return requirements, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(&metav1.LabelSelector{MatchExpressions: s.Requirements})
	if err != nil {
		return nil, fmt.Errorf("reading the label selector: %w", err)
	}
	requirements, _ := selector.Requirements()
	return requirements, nil
}
