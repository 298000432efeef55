package v1alpha1

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

func (s *ServiceAccounts) validate(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	isIssuer := func(name string) bool {
		parsed, err := url.Parse(name)
		return err == nil && (!strings.Contains(name, ":") || parsed.Scheme != "")
	}
	if !isIssuer(s.Issuer) {
		errs = append(errs, field.Invalid(at.Child("issuer"), s.Issuer, "must be a URL or a name without a colon"))
	}
	for i, issuer := range s.AcceptedIssuers {
		path := at.Child("acceptedIssuers").Index(i)
		switch {
		case issuer == "" || !isIssuer(issuer):
			errs = append(errs, field.Invalid(path, issuer, "must be a URL or a name without a colon"))
		case issuer == s.Issuer || slices.Contains(s.AcceptedIssuers[:i], issuer):
			errs = append(errs, field.Duplicate(path, issuer))
		}
	}
	if uri, err := url.Parse(s.JWKSURI); s.JWKSURI != "" && (err != nil || uri.Scheme != "https") {
		errs = append(errs, field.Invalid(at.Child("jwksURI"), s.JWKSURI, "must be an https URL"))
	}
	// As long as what a TokenRequest may ask for.
	if most := s.MaxTokenExpiration.Duration; most != 0 && (most < time.Hour || most > (1<<32)*time.Second) {
		errs = append(errs, field.Invalid(at.Child("maxTokenExpiration"), most.String(), "must be between 1 hour and 2^32 seconds"))
	}
	return errs
}

func (o *OIDC) validate(at *field.Path) field.ErrorList {
	switch {
	case o.IssuerURL == "" && o.ClientID != "":
		return field.ErrorList{field.Required(at.Child("issuerURL"), "clientID is one of an issuer")}
	case o.IssuerURL != "" && o.ClientID == "":
		return field.ErrorList{field.Required(at.Child("clientID"), "tokens must be for this server")}
	case o.IssuerURL == "" && (o.CAFile != "" || o.UsernamePrefix != "" || o.GroupsClaim != "" || o.GroupsPrefix != "" || len(o.RequiredClaims) > 0):
		return field.ErrorList{field.Required(at.Child("issuerURL"), "the other fields are about an issuer")}
	}
	if issuer, err := url.Parse(o.IssuerURL); o.IssuerURL != "" && (err != nil || issuer.Scheme != "https") {
		return field.ErrorList{field.Invalid(at.Child("issuerURL"), o.IssuerURL, "must be an https URL")}
	}
	return nil
}

// authorizationModes are those of kube-apiserver's --authorization-mode.
var authorizationModes = [...]string{"AlwaysAllow", "AlwaysDeny", "ABAC", "Webhook", "RBAC", "Node"}

// validate checks the authorizers beside the paths that anonymous users may ask for.
func (a *Authorization) validate(at *field.Path, anonymous []string) field.ErrorList {
	var errs field.ErrorList
	if len(a.Modes) > 0 && a.ConfigFile != "" {
		errs = append(errs, field.Forbidden(at.Child("modes"), "configFile names the authorizers"))
	}
	for i, mode := range a.Modes {
		switch path := at.Child("modes").Index(i); {
		case !slices.Contains(authorizationModes[:], mode):
			errs = append(errs, field.NotSupported(path, mode, authorizationModes[:]))
		case slices.Contains(a.Modes[:i], mode):
			errs = append(errs, field.Duplicate(path, mode))
		}
	}
	if slices.Contains(a.Modes, "AlwaysAllow") && slices.Contains(anonymous, "*") {
		errs = append(errs, field.Forbidden(at.Child("modes"), "AlwaysAllow with anonymousPaths \"*\" would let everybody do everything"))
	}
	for mode, file := range map[string]struct{ name, value string }{
		"ABAC": {"policyFile", a.PolicyFile}, "Webhook": {"kubeconfigFile", a.Webhook.KubeconfigFile},
	} {
		path := at.Child(file.name)
		if mode == "Webhook" {
			path = at.Child("webhook", file.name)
		}
		switch on := slices.Contains(a.Modes, mode); {
		case on && file.value == "":
			errs = append(errs, field.Required(path, "the mode "+mode+" needs it"))
		case !on && file.value != "":
			errs = append(errs, field.Forbidden(path, "modes has not "+mode))
		}
	}
	if versions := []string{"v1", "v1beta1"}; !slices.Contains(versions, a.Webhook.Version) {
		errs = append(errs, field.NotSupported(at.Child("webhook", "version"), a.Webhook.Version, versions))
	}
	if a.Webhook.AuthorizedTTL.Duration < 0 || a.Webhook.UnauthorizedTTL.Duration < 0 {
		errs = append(errs, field.Invalid(at.Child("webhook"), a.Webhook.AuthorizedTTL.Duration.String(), "authorizedTTL and unauthorizedTTL must not be negative"))
	}
	return errs
}
