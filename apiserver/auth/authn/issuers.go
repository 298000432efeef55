package authn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/apis/apiserver/install"
	"k8s.io/apiserver/pkg/apis/apiserver/validation"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	authenticationcel "k8s.io/apiserver/pkg/authentication/cel"
	tokenunion "k8s.io/apiserver/pkg/authentication/token/union"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/pkg/server/options/authenticationconfig/metrics"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"

	"github.com/coracle-k8s/coracle/apiserver/follow"
)

// IssuersConfig holds the source of the configuration of issuers.
type IssuersConfig struct {
	// File is an AuthenticationConfiguration.
	File string
	// Own are this server's issuers, which the file must not name.
	Own []string
	// Audiences of this server.
	Audiences authenticator.Audiences
	// ServerID distinguishes servers in metrics.
	ServerID string
	// Report is called with the error of a changed file that is not taken.
	Report func(error)
}

// Issuers authenticates the tokens of OIDC issuers by an AuthenticationConfiguration:
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#using-authentication-configuration.
type Issuers struct {
	config    IssuersConfig
	content   []byte
	algs      []string // that tokens may be signed with
	anonymous *apiserver.AnonymousAuthConfig
	compiler  authenticationcel.Compiler
	current   atomic.Pointer[issuers]
	before    *issuers // kept for the requests that began with it
}

// issuers is one content of the file; it ends with close.
type issuers struct {
	authenticator.Token
	healthy []func() error
	close   context.CancelFunc
}

var _ authenticator.Token = &Issuers{}

// OpenIssuers reads the configuration and begins to ask issuers for their keys,
// which goes on until ctx is done. An issuer that does not answer is no error:
// its tokens are not accepted until it does.
func OpenIssuers(ctx context.Context, c IssuersConfig) (*Issuers, error) {
	content, err := os.ReadFile(c.File)
	if err != nil {
		return nil, fmt.Errorf("reading the authentication configuration: %w", err)
	}
	i := &Issuers{config: c, content: content, algs: oidc.AllValidSigningAlgorithms(), compiler: authenticationcel.NewDefaultCompiler()}
	parsed, err := i.parse(content)
	if err != nil {
		return nil, fmt.Errorf("reading the authentication configuration %s: %w", c.File, err)
	}
	i.anonymous = parsed.Anonymous
	first, err := i.build(ctx, parsed)
	if err != nil {
		return nil, fmt.Errorf("using the authentication configuration %s: %w", c.File, err)
	}
	i.current.Store(first)
	return i, nil
}

// Run follows the file until ctx is done. It returns nil.
func (i *Issuers) Run(ctx context.Context) error {
	metrics.RegisterMetrics()
	metrics.RecordAuthenticationConfigLastConfigInfo(i.config.ServerID, string(i.content))
	follow.File(ctx, i.config.File, i.content, func(data []byte) error { return i.reload(ctx, data) }, func(taken []byte, err error) {
		if err != nil {
			metrics.RecordAuthenticationConfigAutomaticReloadFailure(i.config.ServerID)
			i.config.Report(err)
			return
		}
		metrics.RecordAuthenticationConfigAutomaticReloadSuccess(i.config.ServerID, string(taken))
	})
	return nil
}

// Anonymous returns the file's settings for requests without credentials, nil if it has none.
func (i *Issuers) Anonymous() *apiserver.AnonymousAuthConfig { return i.anonymous }

// AuthenticateToken implements authenticator.Token.
func (i *Issuers) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	return i.current.Load().AuthenticateToken(ctx, token)
}

func (i *Issuers) parse(data []byte) (*apiserver.AuthenticationConfiguration, error) {
	if len(data) == 0 {
		return nil, errors.New("it is empty")
	}
	scheme := runtime.NewScheme()
	install.Install(scheme)
	obj, err := runtime.Decode(serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDecoder(), data)
	if err != nil {
		return nil, err
	}
	parsed, ok := obj.(*apiserver.AuthenticationConfiguration)
	if !ok {
		return nil, fmt.Errorf("expected AuthenticationConfiguration, got %T", obj)
	}
	return parsed, validation.ValidateAuthenticationConfiguration(i.compiler, parsed, i.config.Own).ToAggregate()
}

func (i *Issuers) build(ctx context.Context, c *apiserver.AuthenticationConfiguration) (*issuers, error) {
	ctx, cancel := context.WithCancel(ctx)
	out := &issuers{close: cancel}
	var all []authenticator.Token
	for _, issuer := range c.JWT {
		options := oidc.Options{
			JWTAuthenticator: issuer, SupportedSigningAlgs: i.algs,
			DisallowedIssuers: i.config.Own, APIServerID: i.config.ServerID, Compiler: i.compiler,
		}
		if ca := issuer.Issuer.CertificateAuthority; ca != "" {
			content, err := dynamiccertificates.NewStaticCAContent("oidc-authenticator", []byte(ca))
			if err != nil {
				cancel()
				return nil, err
			}
			options.CAContentProvider = content
		}
		a, err := oidc.New(ctx, options)
		if err != nil {
			cancel()
			return nil, err
		}
		all, out.healthy = append(all, a), append(out.healthy, a.HealthCheck)
	}
	out.Token = authenticator.WrapAudienceAgnosticToken(i.config.Audiences, tokenunion.NewFailOnError(all...))
	return out, nil
}

// The library fetches the keys of a new issuer in a goroutine and does not notify
// of the result. reload polls for them at this interval and for at most this time.
const (
	keysInterval = 100 * time.Millisecond
	keysPatience = time.Minute
)

func (i *Issuers) reload(ctx context.Context, data []byte) error {
	parsed, err := i.parse(data)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(parsed.Anonymous, i.anonymous) {
		return field.Forbidden(field.NewPath("anonymous"), "changed from initial configuration file")
	}
	next, err := i.build(ctx, parsed)
	if err != nil {
		return err
	}
	if err := next.await(ctx); err != nil {
		next.close()
		return err
	}
	if i.before != nil {
		i.before.close()
	}
	i.before = i.current.Swap(next)
	return nil
}

// await returns when all issuers have answered.
func (i *issuers) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, keysPatience)
	defer cancel()
	again := time.NewTicker(keysInterval)
	defer again.Stop()
	for {
		var errs []error
		for _, healthy := range i.healthy {
			errs = append(errs, healthy())
		}
		err := errors.Join(errs...)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-again.C:
		}
	}
}
