// Package localsubjectaccessreview serves authorization.k8s.io/v1
// LocalSubjectAccessReviews: may this user do that in this namespace?
package localsubjectaccessreview

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/endpoints/request"

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
		Answer:     answer,
	}.Resource()
}

func answer(ctx context.Context, env registry.Env, review *authorizationv1.LocalSubjectAccessReview) (*authorizationv1.LocalSubjectAccessReview, error) {
	q := access.Question{Resource: review.Spec.ResourceAttributes, NonResource: review.Spec.NonResourceAttributes}
	errs := append(q.Validate(), access.EmptyMeta(review.ObjectMeta, true)...)
	spec := field.NewPath("spec")
	if review.Spec.User == "" && len(review.Spec.Groups) == 0 {
		errs = append(errs, field.Invalid(spec.Child("user"), review.Spec.User, "at least one of user or group must be specified"))
	}
	if r := review.Spec.ResourceAttributes; r != nil && r.Namespace != review.Namespace {
		errs = append(errs, field.Invalid(spec.Child("resourceAttributes", "namespace"), r.Namespace, "must match metadata.namespace"))
	}
	if review.Spec.NonResourceAttributes != nil {
		errs = append(errs, field.Invalid(spec.Child("nonResourceAttributes"), review.Spec.NonResourceAttributes, "disallowed on this kind of request"))
	}
	if err := access.Invalid("LocalSubjectAccessReview", errs); err != nil {
		return nil, err
	}
	if namespace := request.NamespaceValue(ctx); namespace != review.Namespace {
		return nil, apierrors.NewBadRequest("namespace in URL does not match namespace in review object: " + namespace)
	}
	review.Status = access.Answer(ctx, env, access.User(&review.Spec), q)
	return review, nil
}
