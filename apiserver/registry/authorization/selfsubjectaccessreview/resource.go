// Package selfsubjectaccessreview serves authorization.k8s.io/v1
// SelfSubjectAccessReviews: may I do that?
//
// The API of this package is not stable: see docs/api.md.
package selfsubjectaccessreview

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/endpoints/request"

	"github.com/coracle-k8s/coracle/apis/authorization"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/registry/authorization/access"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Review[*authorizationv1.SelfSubjectAccessReview]{
		GVK:        authorizationv1.SchemeGroupVersion.WithKind("SelfSubjectAccessReview"),
		Plural:     "selfsubjectaccessreviews",
		Namespaced: false,
		New:        func() *authorizationv1.SelfSubjectAccessReview { return &authorizationv1.SelfSubjectAccessReview{} },
		Validate:   authorization.ValidateSelfSubjectAccessReview,
		Answer:     answer,
	}.Resource()
}

func answer(ctx context.Context, env registry.Env, review *authorizationv1.SelfSubjectAccessReview) (*authorizationv1.SelfSubjectAccessReview, error) {
	q := access.Question{Resource: review.Spec.ResourceAttributes, NonResource: review.Spec.NonResourceAttributes}
	u, ok := request.UserFrom(ctx)
	if !ok {
		return nil, apierrors.NewBadRequest("no user present on request")
	}
	review.Status = access.Answer(ctx, env, u, q)
	return review, nil
}
