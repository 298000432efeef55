// Package authn composes the authentication of requests: of a caller in the
// same process, by a front proxy, a client certificate or a bearer token, or,
// for health endpoints only, as the anonymous user.
//
// The API of this package is not stable: see docs/api.md.
package authn

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/request/websocket"
	"k8s.io/apiserver/pkg/authentication/request/x509"
	"k8s.io/apiserver/pkg/authentication/token/tokenfile"
	tokenunion "k8s.io/apiserver/pkg/authentication/token/union"
	"k8s.io/apiserver/pkg/authentication/user"
)

// Config holds the sources of identities that are trusted. Every field may be left empty.
type Config struct {
	// ClientCA gives the roots that client certificates are checked against,
	// asked for every request so that they may change. Common name and
	// organizations of a certificate are user and groups.
	ClientCA x509.VerifyOptionFunc
	// FrontProxy believes headers that a proxy sets.
	FrontProxy *FrontProxy
	// Tokens check bearer tokens, in this order.
	Tokens []authenticator.Token
	// Audiences of this server, for authenticators that know none.
	Audiences authenticator.Audiences
	// AnonymousPaths are open to requests without credentials; nil means
	// HealthPaths, empty means none, AllPaths any.
	AnonymousPaths []string
}

// FrontProxy is a proxy that authenticates by certificate and passes on its
// users' names in headers.
type FrontProxy struct {
	CA x509.VerifyOptionFunc
	// AllowedNames are common names of proxies; empty allows all of CA.
	AllowedNames headerrequest.StringSliceProvider
	// Header names, by default X-Remote-User, X-Remote-Uid, X-Remote-Group and
	// the prefix X-Remote-Extra-.
	UserHeaders, UIDHeaders, GroupHeaders, ExtraPrefixes headerrequest.StringSliceProvider
}

// AllPaths stands for every path in Config.AnonymousPaths.
const AllPaths = "*"

// HealthPaths returns the paths that are open to anonymous users by default.
func HealthPaths() []string { return []string{"/livez", "/readyz", "/healthz"} }

// New composes the authenticator. A credential that is there and wrong fails
// the request; without any, the request is anonymous or unauthenticated. All
// users but the anonymous one are in the group system:authenticated.
func New(c Config) authenticator.Request {
	// Credentials without audiences are good for the server's own.
	agnostic := func(r authenticator.Request) authenticator.Request {
		if len(c.Audiences) == 0 {
			return r
		}
		return authenticator.WrapAudienceAgnosticRequest(c.Audiences, r)
	}
	var named []authenticator.Request
	if p := c.FrontProxy; p != nil {
		p = p.defaulted()
		named = append(named, agnostic(headerrequest.NewDynamicVerifyOptionsSecure(p.CA, p.AllowedNames, p.UserHeaders, p.UIDHeaders, p.GroupHeaders, p.ExtraPrefixes)))
	}
	if c.ClientCA != nil {
		named = append(named, agnostic(x509.NewDynamic(c.ClientCA, x509.CommonNameUserConversion)))
	}
	if len(c.Tokens) > 0 {
		tokens := c.tokens()
		named = append(named, bearertoken.New(tokens), websocket.NewProtocolAuthenticator(tokens))
	}
	all := group.NewAuthenticatedGroupAdder(union.New(named...))
	paths := c.AnonymousPaths
	if paths == nil {
		paths = HealthPaths()
	}
	if len(paths) == 0 {
		return all
	}
	conditions := make([]apiserver.AnonymousAuthCondition, 0, len(paths))
	for _, p := range paths {
		if p == AllPaths {
			conditions = nil
			break
		}
		conditions = append(conditions, apiserver.AnonymousAuthCondition{Path: p})
	}
	return union.NewFailOnError(all, anonymous.NewAuthenticator(conditions))
}

// tokens asks each authenticator of tokens; static and bootstrap tokens have no
// audience.
func (c Config) tokens() authenticator.Token {
	tokens := slices.Clone(c.Tokens)
	for i, t := range tokens {
		switch t.(type) {
		case *Static, Bootstrap, filed:
			if len(c.Audiences) > 0 {
				tokens[i] = authenticator.WrapAudienceAgnosticToken(c.Audiences, t)
			}
		}
	}
	return tokenunion.New(tokens...)
}

// Paths gives a configuration of anonymous users as Config.AnonymousPaths; nil
// for nil.
func Paths(c *apiserver.AnonymousAuthConfig) []string {
	switch {
	case c == nil:
		return nil
	case !c.Enabled:
		return []string{}
	case len(c.Conditions) == 0:
		return []string{AllPaths}
	}
	paths := make([]string, 0, len(c.Conditions))
	for _, condition := range c.Conditions {
		paths = append(paths, condition.Path)
	}
	return paths
}

func (p FrontProxy) defaulted() *FrontProxy {
	set := func(to *headerrequest.StringSliceProvider, value ...string) {
		if *to == nil {
			*to = headerrequest.StaticStringSlice(value)
		}
	}
	set(&p.AllowedNames)
	set(&p.UserHeaders, "X-Remote-User")
	set(&p.UIDHeaders, "X-Remote-Uid")
	set(&p.GroupHeaders, "X-Remote-Group")
	set(&p.ExtraPrefixes, "X-Remote-Extra-")
	return &p
}

// Static authenticates fixed tokens: those of the admin kubeconfig and of
// agents.
type Static struct {
	users map[[sha256.Size]byte]user.Info // by hash, so that the time of a lookup reveals nothing
}

var _ authenticator.Token = &Static{}

// NewStatic makes a Static from users by token. Empty tokens are an error.
func NewStatic(users map[string]user.Info) (*Static, error) {
	s := &Static{users: make(map[[sha256.Size]byte]user.Info, len(users))}
	for token, u := range users {
		if token == "" {
			return nil, errors.New("making static tokens: a token is empty")
		}
		s.users[sha256.Sum256([]byte(token))] = u
	}
	return s, nil
}

// AuthenticateToken implements authenticator.Token.
func (s *Static) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	u, ok := s.users[sha256.Sum256([]byte(token))]
	if !ok {
		return nil, false, nil
	}
	return &authenticator.Response{User: u}, true, nil
}

// filed are the tokens of a file.
type filed struct{ authenticator.Token }

// OpenTokenFile reads static tokens from a file of lines token,user,uid,"groups":
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file.
func OpenTokenFile(path string) (authenticator.Token, error) {
	tokens, err := tokenfile.NewCSV(path)
	if err != nil {
		return nil, fmt.Errorf("reading the token file: %w", err)
	}
	return filed{tokens}, nil
}
