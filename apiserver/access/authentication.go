package access

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	certutil "k8s.io/client-go/util/cert"

	"github.com/coracle-k8s/coracle/apiserver/auth/authn"
	"github.com/coracle-k8s/coracle/apiserver/auth/tokens"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/stores"
)

// authentication makes what the settings name. Issuers' keys are fetched until
// ctx is done.
func (a *Access) authentication(ctx context.Context) error {
	config := authn.Config{Audiences: a.Audiences, AnonymousPaths: a.config.Settings.Authentication.AnonymousPaths}
	if err := a.clientCertificates(&config); err != nil {
		return err
	}
	// Local ones first: they answer at once, and no secret leaves that need not.
	for _, add := range []func(context.Context, *authn.Config) error{a.staticTokens, a.serviceAccounts, a.bootstrapTokens, a.issuers, a.tokenWebhook, a.frontProxy} {
		if err := add(ctx, &config); err != nil {
			return err
		}
	}
	a.Authenticator = authn.New(config)
	return nil
}

// clientCertificates sets up client certificates of the cluster's own authority
// and of the ones in a file.
func (a *Access) clientCertificates(to *authn.Config) error {
	file := a.config.Settings.Authentication.ClientCAFile
	if file == "" {
		roots := a.config.Authority.Pool()
		to.ClientCA = func() (x509.VerifyOptions, bool) {
			return x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, true
		}
		return nil
	}
	own, err := dynamiccertificates.NewStaticCAContent("cluster", a.config.Authority.PEM)
	if err != nil {
		return fmt.Errorf("reading the cluster's authority: %w", err)
	}
	others, err := dynamiccertificates.NewDynamicCAContentFromFile("client-ca", file)
	if err != nil {
		return fmt.Errorf("reading the authorities of client certificates: %w", err)
	}
	a.Runners = append(a.Runners, func(ctx context.Context) error { others.Run(ctx, 1); return nil })
	to.ClientCA = dynamiccertificates.NewUnionCAContentProvider(own, others).VerifyOptions
	return nil
}

func (a *Access) staticTokens(_ context.Context, to *authn.Config) error {
	users := map[string]user.Info{}
	for token, u := range a.config.Tokens {
		users[token] = u
	}
	static, err := authn.NewStatic(users)
	if err != nil {
		return err
	}
	to.Tokens = append(to.Tokens, static)
	if file := a.config.Settings.Authentication.TokenFile; file != "" {
		filed, err := authn.OpenTokenFile(file)
		if err != nil {
			return err
		}
		to.Tokens = append(to.Tokens, filed)
	}
	return nil
}

func (a *Access) serviceAccounts(_ context.Context, to *authn.Config) error {
	c := a.config
	signer, err := tokens.NewSigner(tokens.SignerConfig{Issuer: c.Issuer, Audiences: a.Audiences, Key: c.ServiceAccountKey, Clock: c.Clock})
	if err != nil {
		return err
	}
	a.Signer, a.Tokens = signer, issuer{signer}
	keys := append([]crypto.PublicKey{c.ServiceAccountKey.Public()}, c.ServiceAccountKeys...)
	checked, err := tokens.NewAuthenticator(tokens.AuthenticatorConfig{
		Issuers: a.ownIssuers(), Audiences: a.Audiences, Keys: keys, Getter: bound{a.config.Stores}, Clock: c.Clock, Used: a.tokenUsed, Register: a.Metrics.MustRegister,
	})
	if err != nil {
		return err
	}
	to.Tokens = append(to.Tokens, checked)
	a.Discovery, err = tokens.NewDiscovery(c.Issuer, c.Settings.ServiceAccounts.JWKSURI, keys)
	return err
}

// ownIssuers returns the issuers of service account tokens; the first signs.
func (a *Access) ownIssuers() []string {
	return append([]string{a.config.Issuer}, a.config.Settings.ServiceAccounts.AcceptedIssuers...)
}

// tokenUsed labels the Secret of a token. If that fails the next use tries
// again; the token is good either way.
func (a *Access) tokenUsed(ctx context.Context, secret *corev1.Secret, day string) {
	core, err := coreclient.NewForConfig(a.config.Self)
	if err != nil {
		return
	}
	// With its UID: a new Secret of that name was not used.
	label := applycorev1.Secret(secret.Name, secret.Namespace).WithUID(secret.UID).WithLabels(map[string]string{tokens.LastUsedLabel: day})
	patch, err := json.Marshal(label)
	if err == nil {
		_, _ = core.Secrets(secret.Namespace).Patch(context.WithoutCancel(ctx), secret.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	}
}

func (a *Access) bootstrapTokens(_ context.Context, to *authn.Config) error {
	if on := a.config.Settings.Authentication.BootstrapTokens; on != nil && *on {
		to.Tokens = append(to.Tokens, authn.Bootstrap{Secret: bound{a.config.Stores}.Secret, Clock: a.config.Clock})
	}
	return nil
}

func (a *Access) issuers(ctx context.Context, to *authn.Config) error {
	c := a.config
	config := authn.IssuersConfig{
		File: c.Settings.Authentication.ConfigFile, Own: a.ownIssuers(), Audiences: a.Audiences, ServerID: a.config.ServerID, Report: c.Report,
	}
	if one := c.Settings.Authentication.OIDC; one.IssuerURL != "" {
		issuer, err := authn.OpenIssuer(ctx, config, one)
		if err != nil {
			return err
		}
		to.Tokens = append(to.Tokens, issuer)
	}
	if config.File == "" {
		return nil
	}
	issuers, err := authn.OpenIssuers(ctx, config)
	if err != nil {
		return err
	}
	a.Runners = append(a.Runners, issuers.Run)
	to.Tokens = append(to.Tokens, issuers)
	to.AnonymousPaths = authn.Paths(issuers.Anonymous())
	return nil
}

func (a *Access) tokenWebhook(_ context.Context, to *authn.Config) error {
	w := a.config.Settings.Authentication.TokenWebhook
	if w.KubeconfigFile == "" {
		return nil
	}
	hook, err := authn.NewWebhook(w.KubeconfigFile, w.Version, a.Audiences, w.CacheTTL.Duration)
	if err != nil {
		return err
	}
	to.Tokens = append(to.Tokens, hook)
	return nil
}

func (a *Access) frontProxy(_ context.Context, to *authn.Config) error {
	h := a.config.Settings.Authentication.RequestHeader
	if h.ClientCAFile == "" {
		return nil
	}
	ca, err := dynamiccertificates.NewDynamicCAContentFromFile("request-header", h.ClientCAFile)
	if err != nil {
		return fmt.Errorf("reading the front proxy's authorities: %w", err)
	}
	if len(h.AllowedNames) == 0 {
		if err := a.checkOverlap(h.ClientCAFile); err != nil {
			return err
		}
	}
	a.Runners = append(a.Runners, func(ctx context.Context) error { ca.Run(ctx, 1); return nil })
	header := &authenticatorfactory.RequestHeaderConfig{
		CAContentProvider: ca, AllowedClientNames: headerrequest.StaticStringSlice(h.AllowedNames),
		UsernameHeaders: headerrequest.StaticStringSlice(h.UsernameHeaders), UIDHeaders: headerrequest.StaticStringSlice(h.UIDHeaders),
		GroupHeaders: headerrequest.StaticStringSlice(h.GroupHeaders), ExtraHeaderPrefixes: headerrequest.StaticStringSlice(h.ExtraHeaderPrefixes),
	}
	a.RequestHeader = header
	to.FrontProxy = &authn.FrontProxy{
		CA: ca.VerifyOptions, AllowedNames: header.AllowedClientNames, UserHeaders: header.UsernameHeaders,
		UIDHeaders: header.UIDHeaders, GroupHeaders: header.GroupHeaders, ExtraPrefixes: header.ExtraHeaderPrefixes,
	}
	return nil
}

// checkOverlap refuses authorities of front proxies that are those of clients, too:
// any client would pass for a proxy.
func (a *Access) checkOverlap(file string) error {
	proxies, err := certutil.CertsFromFile(file)
	if err != nil {
		return fmt.Errorf("reading the front proxy's authorities: %w", err)
	}
	clients, err := certutil.ParseCertsPEM(a.config.Authority.PEM)
	if err != nil {
		return fmt.Errorf("reading the cluster's authority: %w", err)
	}
	if file := a.config.Settings.Authentication.ClientCAFile; file != "" {
		more, err := certutil.CertsFromFile(file)
		if err != nil {
			return fmt.Errorf("reading the authorities of client certificates: %w", err)
		}
		clients = append(clients, more...)
	}
	for _, proxy := range proxies {
		if slices.ContainsFunc(clients, proxy.Equal) {
			return errors.New("apiServer.authentication.requestHeader.clientCAFile has an authority that signs clients, too: allowedNames must name the proxies")
		}
	}
	return nil
}

// issuer adapts the signer to what the registry asks for.
type issuer struct{ tokens.Issuer }

func (i issuer) IssueToken(ctx context.Context, r registry.TokenRequest) (string, time.Time, error) {
	claims := tokens.TokenClaims{
		Namespace: r.ServiceAccount.Namespace, ServiceAccount: *Ref(r.ServiceAccount),
		Audiences: r.Audiences, Expiration: time.Duration(r.Seconds) * time.Second, WarnAfter: time.Duration(r.WarnAfter) * time.Second,
	}
	if r.Pod != nil {
		claims.Pod = Ref(r.Pod)
	}
	if r.Secret != nil {
		claims.Secret = Ref(r.Secret)
	}
	if r.Node != nil {
		claims.Node = Ref(r.Node)
	}
	return i.Issue(ctx, claims)
}

// Ref refers to the object of a token.
func Ref(o metav1.Object) *tokens.Ref { return &tokens.Ref{Name: o.GetName(), UID: string(o.GetUID())} }

// bound looks up what tokens are bound to.
type bound struct{ stores *stores.Stores }

func (b bound) ServiceAccount(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
	return stores.GetCached[*corev1.ServiceAccount](ctx, b.stores, "serviceaccounts", namespace, name)
}

func (b bound) Pod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	return stores.GetCached[*corev1.Pod](ctx, b.stores, "pods", namespace, name)
}

func (b bound) Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	return stores.GetCached[*corev1.Secret](ctx, b.stores, "secrets", namespace, name)
}

func (b bound) Node(ctx context.Context, name string) (*corev1.Node, error) {
	return stores.GetCached[*corev1.Node](ctx, b.stores, "nodes", "", name)
}
