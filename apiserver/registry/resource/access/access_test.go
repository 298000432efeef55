package access

import (
	"context"
	"errors"
	"testing"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// TestBinding refuses a new allocation in the words of the authorizer.
func TestBinding(t *testing.T) {
	ctx := request.WithUser(context.Background(), &user.DefaultInfo{Name: "eve"})
	ctx = request.WithRequestInfo(ctx, &request.RequestInfo{IsResourceRequest: true, Verb: "patch", APIGroup: "resource.k8s.io", APIVersion: "v1", Namespace: "a", Resource: "resourceclaims", Subresource: "status", Name: "b"})
	const refused = `status.allocation: Forbidden: changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", verb="patch" permission: resourceclaims.resource.k8s.io is forbidden: User "eve" cannot patch resource "resourceclaims/binding" in API group "resource.k8s.io" at the cluster scope`
	for _, c := range []struct {
		decision authorizer.Decision
		reason   string
		err      error
		want     string
	}{
		{authorizer.DecisionAllow, "", errors.New("a role is missing"), ""},
		{authorizer.DecisionNoOpinion, "", nil, refused},
		{authorizer.DecisionDeny, "no", nil, refused + ": no"},
		{authorizer.DecisionNoOpinion, "", errors.New("a role is missing"), refused + ": a role is missing"},
		{authorizer.DecisionNoOpinion, "no", errors.New("a role is missing"), refused + ": a role is missing: no"},
	} {
		env := registry.Env{Authorizer: authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
			return c.decision, c.reason, c.err
		})}
		status := resourcev1.ResourceClaimStatus{Allocation: &resourcev1.AllocationResult{}}
		errs := Binding(ctx, env, &status, &resourcev1.ResourceClaimStatus{})
		got := ""
		if len(errs) > 0 {
			got = errs[0].Error()
		}
		if len(errs) > 1 || got != c.want {
			t.Errorf("%v, %q, %v: %v\nwant %s", c.decision, c.reason, c.err, errs, c.want)
		}
	}
}
