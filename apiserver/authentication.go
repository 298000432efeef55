package apiserver

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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	certutil "k8s.io/client-go/util/cert"

	"github.com/coracle-k8s/coracle/apiserver/auth/authn"
	"github.com/coracle-k8s/coracle/apiserver/auth/tokens"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// authentication makes what the settings name. Issuers' keys are fetched until
// ctx is done.
func (a *access) authentication(ctx context.Context) error {
	config := authn.Config{Audiences: a.audiences, AnonymousPaths: a.server.config.Settings.Authentication.AnonymousPaths}
	if err := a.clientCertificates(&config); err != nil {
		return err
	}
	// Local ones first: they answer at once, and no secret leaves that need not.
	for _, add := range []func(context.Context, *authn.Config) error{a.staticTokens, a.serviceAccounts, a.bootstrapTokens, a.issuers, a.tokenWebhook, a.frontProxy} {
		if err := add(ctx, &config); err != nil {
			return err
		}
	}
	a.authenticator = authn.New(config)
	return nil
}

// clientCertificates sets up client certificates of the cluster's own authority
// and of the ones in a file.
func (a *access) clientCertificates(to *authn.Config) error {
	file := a.server.config.Settings.Authentication.ClientCAFile
	if file == "" {
		roots := a.server.config.Authority.Pool()
		to.ClientCA = func() (x509.VerifyOptions, bool) {
			return x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, true
		}
		return nil
	}
	own, err := dynamiccertificates.NewStaticCAContent("cluster", a.server.config.Authority.PEM)
	if err != nil {
		return fmt.Errorf("reading the cluster's authority: %w", err)
	}
	others, err := dynamiccertificates.NewDynamicCAContentFromFile("client-ca", file)
	if err != nil {
		return fmt.Errorf("reading the authorities of client certificates: %w", err)
	}
	a.runners = append(a.runners, func(ctx context.Context) error { others.Run(ctx, 1); return nil })
	to.ClientCA = dynamiccertificates.NewUnionCAContentProvider(own, others).VerifyOptions
	return nil
}

func (a *access) staticTokens(_ context.Context, to *authn.Config) error {
	users := map[string]user.Info{}
	for token, u := range a.server.config.Tokens {
		users[token] = u
	}
	static, err := authn.NewStatic(users)
	if err != nil {
		return err
	}
	to.Tokens = append(to.Tokens, static)
	if file := a.server.config.Settings.Authentication.TokenFile; file != "" {
		filed, err := authn.OpenTokenFile(file)
		if err != nil {
			return err
		}
		to.Tokens = append(to.Tokens, filed)
	}
	return nil
}

func (a *access) serviceAccounts(_ context.Context, to *authn.Config) error {
	c := a.server.config
	signer, err := tokens.NewSigner(tokens.SignerConfig{Issuer: c.Issuer, Audiences: a.audiences, Key: c.ServiceAccountKey, Clock: c.Clock})
	if err != nil {
		return err
	}
	a.signer, a.tokens = signer, issuer{signer}
	keys := append([]crypto.PublicKey{c.ServiceAccountKey.Public()}, c.ServiceAccountKeys...)
	checked, err := tokens.NewAuthenticator(tokens.AuthenticatorConfig{
		Issuers: a.ownIssuers(), Audiences: a.audiences, Keys: keys, Getter: bound{a.server}, Clock: c.Clock, Used: a.tokenUsed, Register: a.metrics.MustRegister,
	})
	if err != nil {
		return err
	}
	to.Tokens = append(to.Tokens, checked)
	a.discovery, err = tokens.NewDiscovery(c.Issuer, c.Settings.ServiceAccounts.JWKSURI, keys)
	return err
}

// ownIssuers returns the issuers of service account tokens; the first signs.
func (a *access) ownIssuers() []string {
	return append([]string{a.server.config.Issuer}, a.server.config.Settings.ServiceAccounts.AcceptedIssuers...)
}

// tokenUsed labels the Secret of a token. If that fails the next use tries
// again; the token is good either way.
func (a *access) tokenUsed(ctx context.Context, secret *corev1.Secret, day string) {
	core, err := coreclient.NewForConfig(a.server.RESTConfig())
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

func (a *access) bootstrapTokens(_ context.Context, to *authn.Config) error {
	if on := a.server.config.Settings.Authentication.BootstrapTokens; on != nil && *on {
		to.Tokens = append(to.Tokens, authn.Bootstrap{Secret: bound{a.server}.Secret, Clock: a.server.config.Clock})
	}
	return nil
}

func (a *access) issuers(ctx context.Context, to *authn.Config) error {
	c := a.server.config
	config := authn.IssuersConfig{
		File: c.Settings.Authentication.ConfigFile, Own: a.ownIssuers(), Audiences: a.audiences, ServerID: a.server.id(), Report: c.Report,
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
	a.runners = append(a.runners, issuers.Run)
	to.Tokens = append(to.Tokens, issuers)
	to.AnonymousPaths = authn.Paths(issuers.Anonymous())
	return nil
}

func (a *access) tokenWebhook(_ context.Context, to *authn.Config) error {
	w := a.server.config.Settings.Authentication.TokenWebhook
	if w.KubeconfigFile == "" {
		return nil
	}
	hook, err := authn.NewWebhook(w.KubeconfigFile, w.Version, a.audiences, w.CacheTTL.Duration)
	if err != nil {
		return err
	}
	to.Tokens = append(to.Tokens, hook)
	return nil
}

func (a *access) frontProxy(_ context.Context, to *authn.Config) error {
	h := a.server.config.Settings.Authentication.RequestHeader
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
	a.runners = append(a.runners, func(ctx context.Context) error { ca.Run(ctx, 1); return nil })
	header := &authenticatorfactory.RequestHeaderConfig{
		CAContentProvider: ca, AllowedClientNames: headerrequest.StaticStringSlice(h.AllowedNames),
		UsernameHeaders: headerrequest.StaticStringSlice(h.UsernameHeaders), UIDHeaders: headerrequest.StaticStringSlice(h.UIDHeaders),
		GroupHeaders: headerrequest.StaticStringSlice(h.GroupHeaders), ExtraHeaderPrefixes: headerrequest.StaticStringSlice(h.ExtraHeaderPrefixes),
	}
	a.requestHeader = header
	to.FrontProxy = &authn.FrontProxy{
		CA: ca.VerifyOptions, AllowedNames: header.AllowedClientNames, UserHeaders: header.UsernameHeaders,
		UIDHeaders: header.UIDHeaders, GroupHeaders: header.GroupHeaders, ExtraPrefixes: header.ExtraHeaderPrefixes,
	}
	return nil
}

// checkOverlap refuses authorities of front proxies that are those of clients, too:
// any client would pass for a proxy.
func (a *access) checkOverlap(file string) error {
	proxies, err := certutil.CertsFromFile(file)
	if err != nil {
		return fmt.Errorf("reading the front proxy's authorities: %w", err)
	}
	clients, err := certutil.ParseCertsPEM(a.server.config.Authority.PEM)
	if err != nil {
		return fmt.Errorf("reading the cluster's authority: %w", err)
	}
	if file := a.server.config.Settings.Authentication.ClientCAFile; file != "" {
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
		Namespace: r.ServiceAccount.Namespace, ServiceAccount: *ref(r.ServiceAccount),
		Audiences: r.Audiences, Expiration: time.Duration(r.Seconds) * time.Second, WarnAfter: time.Duration(r.WarnAfter) * time.Second,
	}
	if r.Pod != nil {
		claims.Pod = ref(r.Pod)
	}
	if r.Secret != nil {
		claims.Secret = ref(r.Secret)
	}
	if r.Node != nil {
		claims.Node = ref(r.Node)
	}
	return i.Issue(ctx, claims)
}

func ref(o metav1.Object) *tokens.Ref { return &tokens.Ref{Name: o.GetName(), UID: string(o.GetUID())} }

// bound looks up what tokens are bound to.
type bound struct{ server *Server }

func get[T runtime.Object](ctx context.Context, s *Server, resource, namespace, name string) (T, error) {
	var none T
	store, err := s.dispatcher.Store(schema.GroupResource{Resource: resource})
	if err != nil {
		return none, err
	}
	if namespace != "" {
		ctx = request.WithNamespace(ctx, namespace)
	}
	obj, err := store.Get(ctx, name, &metav1.GetOptions{ResourceVersion: "0"})
	if apierrors.IsNotFound(err) { // it may be newer than the cache: as upstream, etcd decides
		obj, err = store.Get(ctx, name, &metav1.GetOptions{})
	}
	if err != nil {
		return none, err
	}
	t, ok := obj.(T)
	if !ok {
		return none, fmt.Errorf("reading %s %s: got %T", resource, name, obj)
	}
	return t, nil
}

func (b bound) ServiceAccount(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
	return get[*corev1.ServiceAccount](ctx, b.server, "serviceaccounts", namespace, name)
}

func (b bound) Pod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	return get[*corev1.Pod](ctx, b.server, "pods", namespace, name)
}

func (b bound) Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	return get[*corev1.Secret](ctx, b.server, "secrets", namespace, name)
}

func (b bound) Node(ctx context.Context, name string) (*corev1.Node, error) {
	return get[*corev1.Node](ctx, b.server, "nodes", "", name)
}
