// Package tokenreview serves authentication.k8s.io/v1 TokenReviews: whose
// token is this?
//
// The API of this package is not stable: see docs/api.md.
package tokenreview

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/authenticator"

	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/registry/authentication/selfsubjectreview"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Review[*authenticationv1.TokenReview]{
		GVK:    authenticationv1.SchemeGroupVersion.WithKind("TokenReview"),
		Plural: "tokenreviews",
		New:    func() *authenticationv1.TokenReview { return &authenticationv1.TokenReview{} },
		Refuse: func(_ context.Context, review *authenticationv1.TokenReview) error {
			if review.Spec.Token == "" {
				return apierrors.NewBadRequest("token is required for TokenReview in authentication")
			}
			return nil
		},
		Answer: answer,
	}.Resource()
}

func answer(ctx context.Context, env registry.Env, review *authenticationv1.TokenReview) (*authenticationv1.TokenReview, error) {
	if env.Authenticator == nil {
		return review, nil
	}
	// The request holds nothing but the token: what the asker shows of itself
	// must not count.
	req := (&http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/"}, Header: http.Header{"Authorization": {"Bearer " + review.Spec.Token}}}).WithContext(ctx)
	audiences := authenticator.Audiences(review.Spec.Audiences)
	if len(audiences) == 0 {
		audiences = env.APIAudiences
	}
	if len(audiences) > 0 {
		req = req.WithContext(authenticator.WithAudiences(ctx, audiences))
	}
	resp, ok, err := env.Authenticator.AuthenticateRequest(req)
	review.Status.Authenticated = ok
	if err != nil {
		review.Status.Error = err.Error()
	}
	if resp == nil || resp.User == nil {
		return review, nil
	}
	if len(audiences) > 0 && len(audiences.Intersect(resp.Audiences)) == 0 {
		return nil, apierrors.NewInternalError(errors.New("error validating audiences"))
	}
	review.Status.User = selfsubjectreview.UserInfo(resp.User)
	review.Status.Audiences = resp.Audiences
	return review, nil
}
