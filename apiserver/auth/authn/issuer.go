package authn

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"

	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/apis/apiserver/validation"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	authenticationcel "k8s.io/apiserver/pkg/authentication/cel"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
)

// OpenIssuer authenticates the tokens of one issuer, as kube-apiserver's flags
// describe it. The file of c is not read. As with OpenIssuers, an issuer that does
// not answer is no error.
func OpenIssuer(ctx context.Context, c IssuersConfig, o v1alpha1.OIDC) (authenticator.Token, error) {
	one, err := jwtAuthenticator(o)
	if err != nil {
		return nil, err
	}
	i := &Issuers{config: c, algs: o.SigningAlgs, compiler: authenticationcel.NewDefaultCompiler()}
	config := &apiserver.AuthenticationConfiguration{JWT: []apiserver.JWTAuthenticator{one}}
	if err := validation.ValidateAuthenticationConfiguration(i.compiler, config, c.Own).ToAggregate(); err != nil {
		return nil, fmt.Errorf("reading the OIDC issuer: %w", err)
	}
	first, err := i.build(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("using the OIDC issuer %s: %w", o.IssuerURL, err)
	}
	i.current.Store(first)
	return i, nil
}

// jwtAuthenticator returns what upstream makes of the flags
// (pkg/kubeapiserver/options/authentication.go, ToAuthenticationConfig).
func jwtAuthenticator(o v1alpha1.OIDC) (apiserver.JWTAuthenticator, error) {
	prefix := o.UsernamePrefix
	switch {
	case prefix == "" && o.UsernameClaim != "email":
		prefix = o.IssuerURL + "#"
	case prefix == "-":
		prefix = ""
	}
	a := apiserver.JWTAuthenticator{
		Issuer:        apiserver.Issuer{URL: o.IssuerURL, Audiences: []string{o.ClientID}},
		ClaimMappings: apiserver.ClaimMappings{Username: apiserver.PrefixedClaimOrExpression{Claim: o.UsernameClaim, Prefix: &prefix}},
	}
	if o.GroupsClaim != "" {
		a.ClaimMappings.Groups = apiserver.PrefixedClaimOrExpression{Claim: o.GroupsClaim, Prefix: &o.GroupsPrefix}
	}
	for _, claim := range slices.Sorted(maps.Keys(o.RequiredClaims)) {
		a.ClaimValidationRules = append(a.ClaimValidationRules, apiserver.ClaimValidationRule{Claim: claim, RequiredValue: o.RequiredClaims[claim]})
	}
	if o.CAFile != "" {
		ca, err := os.ReadFile(o.CAFile)
		if err != nil {
			return a, fmt.Errorf("reading the authorities of the OIDC issuer: %w", err)
		}
		a.Issuer.CertificateAuthority = string(ca)
	}
	return a, nil
}
