// Package localsubjectaccessreview serves authorization.k8s.io/v1
// LocalSubjectAccessReviews: may this user do that in this namespace?
//
// The API of this package is not stable: see docs/api.md.
package localsubjectaccessreview

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
	return registry.Review[*authorizationv1.LocalSubjectAccessReview]{
		GVK:        authorizationv1.SchemeGroupVersion.WithKind("LocalSubjectAccessReview"),
		Plural:     "localsubjectaccessreviews",
		Namespaced: true,
		New:        func() *authorizationv1.LocalSubjectAccessReview { return &authorizationv1.LocalSubjectAccessReview{} },
		Validate:   authorization.ValidateLocalSubjectAccessReview,
		Refuse:     refuse,
		Answer:     answer,
	}.Resource()
}

func answer(ctx context.Context, env registry.Env, review *authorizationv1.LocalSubjectAccessReview) (*authorizationv1.LocalSubjectAccessReview, error) {
	q := access.Question{Resource: review.Spec.ResourceAttributes, NonResource: review.Spec.NonResourceAttributes}
	review.Status = access.Answer(ctx, env, access.User(&review.Spec), q)
	return review, nil
}

func refuse(ctx context.Context, review *authorizationv1.LocalSubjectAccessReview) error {
	if namespace := request.NamespaceValue(ctx); namespace != review.Namespace {
		return apierrors.NewBadRequest("spec.resourceAttributes.namespace must match namespace: " + namespace)
	}
	return nil
}
