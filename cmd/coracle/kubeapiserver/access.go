package kubeapiserver

import (
	"errors"
	"slices"

	cliflag "k8s.io/component-base/cli/flag"

	"github.com/coracle-k8s/coracle/apiserver/admission"
)

func (f *Flags) addAuthentication() {
	set, a, accounts := f.set, &f.config.APIServer.Authentication, &f.config.APIServer.ServiceAccounts
	set.BoolVar(&f.anonymous, "anonymous-auth", false, "serve every path to requests without credentials as far as they are authorized (default: /healthz, /livez and /readyz alone)")
	set.StringVar(&a.ClientCAFile, "client-ca-file", a.ClientCAFile, "authorities of client certificates")
	set.StringVar(&a.ConfigFile, "authentication-config", a.ConfigFile, "AuthenticationConfiguration")
	set.StringVar(&a.TokenFile, "token-auth-file", a.TokenFile, "file of static tokens")
	set.BoolVar(a.BootstrapTokens, "enable-bootstrap-token-auth", *a.BootstrapTokens, "believe bootstrap tokens in Secrets of kube-system")
	if a.TokenWebhook.KubeconfigFile == "" {
		a.TokenWebhook.Version = "v1beta1" // upstream's default of the flag
	}
	set.StringVar(&a.TokenWebhook.KubeconfigFile, "authentication-token-webhook-config-file", a.TokenWebhook.KubeconfigFile, "kubeconfig of a server that knows bearer tokens")
	set.StringVar(&a.TokenWebhook.Version, "authentication-token-webhook-version", a.TokenWebhook.Version, "version of authentication.k8s.io that it speaks")
	set.DurationVar(&a.TokenWebhook.CacheTTL.Duration, "authentication-token-webhook-cache-ttl", a.TokenWebhook.CacheTTL.Duration, "how long its answers are kept")

	h := &a.RequestHeader
	set.StringVar(&h.ClientCAFile, "requestheader-client-ca-file", h.ClientCAFile, "authorities of front proxies")
	set.StringSliceVar(&h.AllowedNames, "requestheader-allowed-names", h.AllowedNames, "common names that front proxies may have (default all)")
	set.StringSliceVar(&h.UsernameHeaders, "requestheader-username-headers", h.UsernameHeaders, "headers with the name of the user")
	set.StringSliceVar(&h.UIDHeaders, "requestheader-uid-headers", h.UIDHeaders, "headers with its UID")
	set.StringSliceVar(&h.GroupHeaders, "requestheader-group-headers", h.GroupHeaders, "headers with its groups")
	set.StringSliceVar(&h.ExtraHeaderPrefixes, "requestheader-extra-headers-prefix", h.ExtraHeaderPrefixes, "prefixes of headers with more about it")

	o := &a.OIDC
	set.StringVar(&o.IssuerURL, "oidc-issuer-url", o.IssuerURL, "issuer of ID tokens, https")
	set.StringVar(&o.ClientID, "oidc-client-id", o.ClientID, "audience that its tokens must have")
	set.StringVar(&o.CAFile, "oidc-ca-file", o.CAFile, "authorities of the issuer (default the system's)")
	set.StringVar(&o.UsernameClaim, "oidc-username-claim", o.UsernameClaim, "claim with the name of the user")
	set.StringVar(&o.UsernamePrefix, "oidc-username-prefix", o.UsernamePrefix, "prefix of names (default the issuer, for claims other than email); - is none")
	set.StringVar(&o.GroupsClaim, "oidc-groups-claim", o.GroupsClaim, "claim with the groups of the user")
	set.StringVar(&o.GroupsPrefix, "oidc-groups-prefix", o.GroupsPrefix, "prefix of groups")
	set.Var(cliflag.NewMapStringString(&o.RequiredClaims), "oidc-required-claim", "claim=value that tokens must have; may be given several times")
	set.StringSliceVar(&o.SigningAlgs, "oidc-signing-algs", o.SigningAlgs, "algorithms that tokens may be signed with")

	set.StringArrayVar(&f.issuers, "service-account-issuer", nil, "issuer of service account tokens; further ones are accepted")
	set.StringArrayVar(&accounts.KeyFiles, "service-account-key-file", accounts.KeyFiles, "keys that check service account tokens")
	set.StringVar(&accounts.SigningKeyFile, "service-account-signing-key-file", accounts.SigningKeyFile, "key that signs service account tokens")
	set.StringVar(&accounts.JWKSURI, "service-account-jwks-uri", accounts.JWKSURI, "where the discovery document says that the keys are")
	set.DurationVar(&accounts.MaxTokenExpiration.Duration, "service-account-max-token-expiration", accounts.MaxTokenExpiration.Duration, "how long a requested token may be good; 0 is as long as is asked for")
	set.BoolVar(accounts.ExtendTokenExpiration, "service-account-extend-token-expiration", *accounts.ExtendTokenExpiration, "make tokens of pods good for a year")
	set.StringSliceVar(&accounts.Audiences, "api-audiences", accounts.Audiences, "audiences of tokens that name none (default the issuers)")
}

func (f *Flags) addAuthorization() {
	set, a := f.set, &f.config.APIServer.Authorization
	set.StringVar(&a.ConfigFile, "authorization-config", a.ConfigFile, "AuthorizationConfiguration")
	set.StringSliceVar(&a.Modes, "authorization-mode", a.Modes, "authorizers in their order: AlwaysAllow, AlwaysDeny, ABAC, Webhook, RBAC, Node (default Node,RBAC)")
	set.StringVar(&a.PolicyFile, "authorization-policy-file", a.PolicyFile, "policy of the mode ABAC")
	if a.Webhook.KubeconfigFile == "" {
		a.Webhook.Version = "v1beta1" // upstream's default of the flag
	}
	set.StringVar(&a.Webhook.KubeconfigFile, "authorization-webhook-config-file", a.Webhook.KubeconfigFile, "kubeconfig of the server that the mode Webhook asks")
	set.StringVar(&a.Webhook.Version, "authorization-webhook-version", a.Webhook.Version, "version of authorization.k8s.io that it speaks")
	set.DurationVar(&a.Webhook.AuthorizedTTL.Duration, "authorization-webhook-cache-authorized-ttl", a.Webhook.AuthorizedTTL.Duration, "how long its consents are kept")
	set.DurationVar(&a.Webhook.UnauthorizedTTL.Duration, "authorization-webhook-cache-unauthorized-ttl", a.Webhook.UnauthorizedTTL.Duration, "how long its refusals are kept")
}

func (f *Flags) addAdmission() {
	set, a := f.set, &f.config.APIServer.Admission
	set.StringSliceVar(&a.EnablePlugins, "enable-admission-plugins", a.EnablePlugins, "admission plugins that are on besides the usual ones")
	set.StringSliceVar(&a.DisablePlugins, "disable-admission-plugins", a.DisablePlugins, "admission plugins that are off")
	set.StringSliceVar(&f.admission, "admission-control", nil, "admission plugins that are on, and no others")
	set.StringVar(&a.ConfigFile, "admission-control-config-file", a.ConfigFile, "AdmissionConfiguration")
	set.Int64Var(a.NotReadyTolerationSeconds, "default-not-ready-toleration-seconds", *a.NotReadyTolerationSeconds, "seconds that pods stay on a node that is not ready")
	set.Int64Var(a.UnreachableTolerationSeconds, "default-unreachable-toleration-seconds", *a.UnreachableTolerationSeconds, "seconds that pods stay on an unreachable node")
	f.set.Lookup("admission-control").Hidden = true
}

// completeAccess sets authentication, authorization and admission.
func (f *Flags) completeAccess(warnings *[]string) error {
	s := &f.config.APIServer
	if len(f.issuers) > 0 {
		s.ServiceAccounts.Issuer, s.ServiceAccounts.AcceptedIssuers = f.issuers[0], f.issuers[1:]
	}
	if f.changed("requestheader-client-ca-file") {
		// As upstream, no headers are read but those that are named.
		h := &s.Authentication.RequestHeader
		for name, headers := range map[string]*[]string{
			"requestheader-username-headers": &h.UsernameHeaders, "requestheader-uid-headers": &h.UIDHeaders,
			"requestheader-group-headers": &h.GroupHeaders, "requestheader-extra-headers-prefix": &h.ExtraHeaderPrefixes,
		} {
			if !f.changed(name) {
				*headers = []string{}
			}
		}
	}
	if err := f.completeAuthorization(); err != nil {
		return err
	}
	if f.changed("authentication-config") && !f.changed("anonymous-auth") {
		s.Authentication.AnonymousPaths = nil // the file may set them
	}
	if f.changed("anonymous-auth") {
		s.Authentication.AnonymousPaths = []string{}
		if f.anonymous {
			s.Authentication.AnonymousPaths = []string{"*"}
		}
		if f.anonymous && slices.Contains(s.Authorization.Modes, "AlwaysAllow") {
			s.Authentication.AnonymousPaths = []string{"/livez", "/readyz", "/healthz"}
			*warnings = append(*warnings, "flag --anonymous-auth has no effect: with --authorization-mode=AlwaysAllow anonymous users reach the health checks alone")
		}
	}
	return f.completeAdmission()
}

func (f *Flags) completeAuthorization() error {
	a := &f.config.APIServer.Authorization
	legacy := f.changed("authorization-mode", "authorization-webhook-config-file", "authorization-webhook-version",
		"authorization-webhook-cache-authorized-ttl", "authorization-webhook-cache-unauthorized-ttl")
	switch {
	case f.changed("authorization-config") && legacy:
		return errors.New("reading flags: --authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags are defined")
	case f.changed("authorization-config"):
		a.Modes = nil
	case legacy:
		a.ConfigFile = ""
	}
	if f.changed("authorization-mode") && len(a.Modes) == 0 {
		return errors.New("reading --authorization-mode: it names no mode")
	}
	return nil
}

// completeAdmission sets the successors of --admission-control from it.
func (f *Flags) completeAdmission() error {
	if !f.changed("admission-control") {
		return nil
	}
	if f.changed("enable-admission-plugins", "disable-admission-plugins") {
		return errors.New("reading flags: admission-control and enable-admission-plugins/disable-admission-plugins flags are mutually exclusive")
	}
	a := &f.config.APIServer.Admission
	a.EnablePlugins, a.DisablePlugins = f.admission, nil
	for _, name := range admission.DefaultNames() {
		if !slices.Contains(f.admission, name) {
			a.DisablePlugins = append(a.DisablePlugins, name)
		}
	}
	return nil
}
