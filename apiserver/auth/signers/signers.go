// Package signers asks the authorizer whether a user may approve, sign or
// attest for a signer of certificates. See
// https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#authorization.
//
// The API of this package is not stable: see docs/api.md.
package signers

import (
	"context"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// Allowed reports whether the user has verb on the resource signers by the
// signer's name, or by its domain as in example.com/*.
func Allowed(ctx context.Context, a authorizer.UnconditionalAuthorizer, who user.Info, verb, signer string) bool {
	domain, _, _ := strings.Cut(signer, "/")
	for _, name := range []string{signer, domain + "/*"} {
		decision, _, err := a.Authorize(ctx, authorizer.AttributesRecord{
			User: who, Verb: verb, Name: name, APIGroup: "certificates.k8s.io", APIVersion: "*", Resource: "signers", ResourceRequest: true,
		})
		if err == nil && decision == authorizer.DecisionAllow {
			return true
		}
	}
	return false
}
