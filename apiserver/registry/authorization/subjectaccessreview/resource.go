// Package subjectaccessreview serves authorization.k8s.io/v1
// SubjectAccessReviews: may this user do that?
//
// The API of this package is not stable: see docs/api.md.
package subjectaccessreview

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/coracle-k8s/coracle/apis/authorization"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/registry/authorization/access"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Review[*authorizationv1.SubjectAccessReview]{
		GVK:        authorizationv1.SchemeGroupVersion.WithKind("SubjectAccessReview"),
		Plural:     "subjectaccessreviews",
		Namespaced: false,
		New:        func() *authorizationv1.SubjectAccessReview { return &authorizationv1.SubjectAccessReview{} },
		Validate:   authorization.ValidateSubjectAccessReview,
		Answer:     answer,
	}.Resource()
}

func answer(ctx context.Context, env registry.Env, review *authorizationv1.SubjectAccessReview) (*authorizationv1.SubjectAccessReview, error) {
	q := access.Question{Resource: review.Spec.ResourceAttributes, NonResource: review.Spec.NonResourceAttributes}
	review.Status = access.Answer(ctx, env, access.User(&review.Spec), q)
	return review, nil
}
