// Package access answers what the access reviews have in common: may this user
// do that?
//
// The API of this package is not stable: see docs/api.md.
package access

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// Question is the part of a review with the action to authorize.
type Question struct {
	Resource    *authorizationv1.ResourceAttributes
	NonResource *authorizationv1.NonResourceAttributes
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
	attributes := q.attributes(u)
	decision, reason, err := env.Authorizer.Authorize(ctx, attributes)
	status := authorizationv1.SubjectAccessReviewStatus{
		Allowed: decision == authorizer.DecisionAllow, Denied: decision == authorizer.DecisionDeny, Reason: reason,
	}
	status.EvaluationError = evaluationError(err, attributes)
	return status
}

// evaluationError joins what the authorizer could not do with what of the
// selectors it was not asked.
func evaluationError(err error, a authorizer.AttributesRecord) string {
	var list []string
	if err != nil {
		list = append(list, err.Error())
	}
	ignored := func(name string, err error, known int) {
		switch {
		case err == nil:
		case known > 0:
			list = append(list, "spec.resourceAttributes."+name+" partially ignored due to parse error")
		default:
			list = append(list, "spec.resourceAttributes."+name+" ignored due to parse error")
		}
	}
	ignored("fieldSelector", a.FieldSelectorParsingErr, len(a.FieldSelectorRequirements))
	ignored("labelSelector", a.LabelSelectorParsingErr, len(a.LabelSelectorRequirements))
	return strings.Join(list, "; ")
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

// labelRequirements keeps what it understands, as fieldRequirements does.
func labelRequirements(s *authorizationv1.LabelSelectorAttributes) (labels.Requirements, error) {
	if s.RawSelector != "" {
		selector, err := labels.Parse(s.RawSelector)
		if err != nil {
			return nil, fmt.Errorf("reading the label selector: %w", err)
		}
		requirements, _ := selector.Requirements()
		return requirements, nil
	}
	var known labels.Requirements
	var firstErr error
	for _, r := range s.Requirements {
		op, ok := map[metav1.LabelSelectorOperator]selection.Operator{
			metav1.LabelSelectorOpIn: selection.In, metav1.LabelSelectorOpNotIn: selection.NotIn,
			metav1.LabelSelectorOpExists: selection.Exists, metav1.LabelSelectorOpDoesNotExist: selection.DoesNotExist,
		}[r.Operator]
		if !ok {
			firstErr = cmp.Or(firstErr, fmt.Errorf("reading the label selector: %q is no operator", r.Operator))
			continue
		}
		requirement, err := labels.NewRequirement(r.Key, op, r.Values)
		if err != nil {
			firstErr = cmp.Or(firstErr, fmt.Errorf("reading the label selector: %w", err))
			continue
		}
		known = append(known, *requirement)
	}
	return known, firstErr
}
