// Package selfsubjectrulesreview serves authorization.k8s.io/v1
// SelfSubjectRulesReviews: what may I do in this namespace?
//
// The API of this package is not stable: see docs/api.md.
package selfsubjectrulesreview

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/endpoints/request"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Review[*authorizationv1.SelfSubjectRulesReview]{
		GVK:        authorizationv1.SchemeGroupVersion.WithKind("SelfSubjectRulesReview"),
		Plural:     "selfsubjectrulesreviews",
		Namespaced: false,
		New:        func() *authorizationv1.SelfSubjectRulesReview { return &authorizationv1.SelfSubjectRulesReview{} },
		Refuse: func(_ context.Context, review *authorizationv1.SelfSubjectRulesReview) error {
			if review.Spec.Namespace == "" {
				return apierrors.NewBadRequest("no namespace on request")
			}
			return nil
		},
		Answer: answer,
	}.Resource()
}

func answer(ctx context.Context, env registry.Env, review *authorizationv1.SelfSubjectRulesReview) (*authorizationv1.SelfSubjectRulesReview, error) {
	u, ok := request.UserFrom(ctx)
	if !ok {
		return nil, apierrors.NewBadRequest("no user present on request")
	}
	// Lists are never null: clients show them.
	namespace := review.Spec.Namespace
	review = &authorizationv1.SelfSubjectRulesReview{} // the answer does not repeat the question
	review.Status = authorizationv1.SubjectRulesReviewStatus{ResourceRules: []authorizationv1.ResourceRule{}, NonResourceRules: []authorizationv1.NonResourceRule{}}
	if env.Rules == nil {
		review.Status.Incomplete = true
		return review, nil
	}
	resources, urls, incomplete, err := env.Rules.RulesFor(ctx, u, namespace)
	review.Status.Incomplete = incomplete
	if err != nil {
		review.Status.EvaluationError = err.Error()
	}
	for _, r := range resources {
		review.Status.ResourceRules = append(review.Status.ResourceRules, authorizationv1.ResourceRule{
			Verbs: r.GetVerbs(), APIGroups: r.GetAPIGroups(), Resources: r.GetResources(), ResourceNames: r.GetResourceNames()})
	}
	for _, r := range urls {
		review.Status.NonResourceRules = append(review.Status.NonResourceRules, authorizationv1.NonResourceRule{
			Verbs: r.GetVerbs(), NonResourceURLs: r.GetNonResourceURLs()})
	}
	return review, nil
}
