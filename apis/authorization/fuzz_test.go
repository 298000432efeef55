package authorization_test

import (
	"testing"

	"github.com/coracle-k8s/coracle/apis/authorization"
	"github.com/coracle-k8s/coracle/test/mangle"
)

func FuzzKinds(f *testing.F) {
	mangle.Kinds(f,
		mangle.Of(authorization.ValidateSubjectAccessReview),
		mangle.Of(authorization.ValidateSelfSubjectAccessReview),
		mangle.Of(authorization.ValidateLocalSubjectAccessReview),
	)
}
