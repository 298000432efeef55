package apiserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	jose "gopkg.in/go-jose/go-jose.v2"
	"gopkg.in/go-jose/go-jose.v2/jwt"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/apiserver"
	"github.com/coracle-k8s/coracle/apiserver/pki"
)

// written returns a file of the test with some content.
func written(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	NewWithT(t).Expect(os.WriteFile(file, []byte(content), 0o600)).To(Succeed())
	return file
}

// TestAuthorizationModes sends requests as a user without any grants.
func TestAuthorizationModes(t *testing.T) {
	policy := written(t, `{"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", "spec": {"user": "eve", "resource": "pods", "namespace": "*"}}`)
	for _, c := range []struct {
		modes        []string
		pods, admins int // status of lists of pods, and of an administrator's
	}{
		{nil, 403, 200},
		{[]string{"RBAC"}, 403, 200},
		{[]string{"AlwaysAllow"}, 200, 200},
		{[]string{"AlwaysDeny"}, 403, 200}, // system:masters are allowed before all modes
		{[]string{"Node", "ABAC"}, 200, 200},
		{[]string{"AlwaysDeny", "AlwaysAllow"}, 200, 200}, // no opinion is no refusal
	} {
		g := NewWithT(t)
		s := start(t, func(config *apiserver.Config) {
			config.Tokens["eve"] = &user.DefaultInfo{Name: "eve"}
			config.Settings.Authorization = v1alpha1.Authorization{Modes: c.modes, PolicyFile: policy}
		})
		response, body := s.do(t, http.MethodGet, "/api/v1/pods", "eve", "")
		g.Expect(response.StatusCode).To(Equal(c.pods), "%v: %s", c.modes, body)
		response, body = s.do(t, http.MethodGet, "/api/v1/secrets", "secret", "")
		g.Expect(response.StatusCode).To(Equal(c.admins), "%v: %s", c.modes, body)
		s.Stop()
	}
}

func TestTokenFileAndNobodyAnonymous(t *testing.T) {
	g := NewWithT(t)
	s := start(t, func(c *apiserver.Config) {
		c.Settings.Authentication.AnonymousPaths = []string{}
		c.Settings.Authentication.TokenFile = written(t, "abc,alice,1,\"devs,ops\"\n")
		c.Settings.ExternalHostname = "api.example.com"
	})
	defer s.Stop()
	response, _ := s.do(t, http.MethodGet, "/livez", "", "")
	g.Expect(response.StatusCode).To(Equal(http.StatusUnauthorized), "anonymous requests are off")
	response, body := s.do(t, http.MethodPost, "/apis/authentication.k8s.io/v1/selfsubjectreviews", "abc", `{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}`)
	g.Expect(response.StatusCode).To(Equal(http.StatusCreated), body)
	g.Expect(body).To(And(ContainSubstring(`"alice"`), ContainSubstring(`"devs"`), ContainSubstring(`"ops"`)))
	response, _ = s.do(t, http.MethodGet, "/api", "abd", "")
	g.Expect(response.StatusCode).To(Equal(http.StatusUnauthorized))
	_, body = s.do(t, http.MethodGet, "/api", "secret", "")
	g.Expect(body).To(ContainSubstring(`"serverAddress":"api.example.com:`))
}

// TestFrontProxy believes the headers that are named and no others, of proxies that
// are named.
func TestFrontProxy(t *testing.T) {
	g := NewWithT(t)
	proxies, err := pki.Open(filepath.Join(t.TempDir(), "pki"), time.Now())
	g.Expect(err).NotTo(HaveOccurred())
	show := func(s *server, name string) *tls.Config {
		pair, err := proxies.Certificate(pki.Request{Name: name, User: name}, time.Now())
		g.Expect(err).NotTo(HaveOccurred())
		cert, err := pair.TLS()
		g.Expect(err).NotTo(HaveOccurred())
		return &tls.Config{RootCAs: s.authority.Pool(), Certificates: []tls.Certificate{cert}}
	}
	s := start(t, func(c *apiserver.Config) {
		c.Settings.Authentication.RequestHeader = v1alpha1.RequestHeader{ClientCAFile: written(t, string(proxies.PEM)), AllowedNames: []string{"proxy"},
			UsernameHeaders: []string{"X-User"}, GroupHeaders: []string{}}
	})
	defer s.Stop()
	headers := []string{"X-User", "jane", "X-Remote-Group", user.SystemPrivilegedGroup}
	response, body := s.send(t, show(s, "proxy"), http.MethodGet, "/api/v1/pods", "", "", headers...)
	g.Expect(response.StatusCode).To(Equal(http.StatusForbidden), "the group is not read: %s", body)
	g.Expect(body).To(ContainSubstring(`User \"jane\" cannot list`))
	response, _ = s.send(t, show(s, "other"), http.MethodGet, "/api/v1/pods", "", "", headers...)
	g.Expect(response.StatusCode).To(Equal(http.StatusUnauthorized), "another name")

	config := configure(t)
	config.Settings.Authentication.RequestHeader.ClientCAFile = written(t, string(config.Authority.PEM))
	_, err = apiserver.Start(t.Context(), config)
	g.Expect(err).To(MatchError(ContainSubstring("allowedNames must name the proxies")), "every client would be a proxy")
}

func TestConnectionSettings(t *testing.T) {
	g := NewWithT(t)
	other, err := pki.Open(filepath.Join(t.TempDir(), "pki"), time.Now())
	g.Expect(err).NotTo(HaveOccurred())
	named, err := other.Certificate(pki.Request{Name: "named", User: "named", Hosts: []string{"named.example.com"}}, time.Now())
	g.Expect(err).NotTo(HaveOccurred())
	s := start(t, func(c *apiserver.Config) {
		c.Settings.TLS = v1alpha1.TLS{MinVersion: "VersionTLS13", SNICertificates: []v1alpha1.NamedCertificate{{
			CertFile: written(t, string(named.Cert)), KeyFile: written(t, string(named.Key)), Names: []string{"*.example.com"}}}}
		c.Settings.StrictTransportSecurity = []string{"max-age=5"}
		c.Settings.HTTP2.GoawayChance = 1
	})
	defer s.Stop()
	address := s.url[len("https://"):]
	_, err = tls.Dial("tcp", address, &tls.Config{RootCAs: s.authority.Pool(), MaxVersion: tls.VersionTLS12})
	g.Expect(err).To(MatchError(ContainSubstring("protocol version")))
	connection, err := tls.Dial("tcp", address, &tls.Config{RootCAs: other.Pool(), ServerName: "any.example.com", InsecureSkipVerify: true})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(connection.ConnectionState().PeerCertificates[0].DNSNames).To(ContainElement("named.example.com"))
	connection.Close()

	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.authority.Pool()}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	opened := 0
	trace := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if !info.Reused {
			opened++
		}
	}})
	for range 3 {
		request, err := http.NewRequestWithContext(trace, http.MethodGet, s.url+"/livez", nil)
		g.Expect(err).NotTo(HaveOccurred())
		response, err := transport.RoundTrip(request)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(response.Proto).To(Equal("HTTP/2.0"))
		g.Expect(response.Header.Get("Strict-Transport-Security")).To(Equal("max-age=5"))
		response.Body.Close()
	}
	g.Expect(opened).To(BeNumerically(">", 1), "the server ends connections")
}

func TestHTTP1Alone(t *testing.T) {
	g := NewWithT(t)
	s := start(t, func(c *apiserver.Config) { c.Settings.HTTP2.Disabled = true })
	defer s.Stop()
	response, _ := s.do(t, http.MethodGet, "/livez", "", "")
	g.Expect(response.Proto).To(Equal("HTTP/1.1"))
}

// TestShutdownDelay stops a server, which goes on to answer.
func TestShutdownDelay(t *testing.T) {
	g := NewWithT(t)
	s := start(t, func(c *apiserver.Config) { c.Settings.ShutdownDelay.Duration = 2 * time.Second })
	s.awaitReady(t)
	stopped := make(chan struct{})
	go func() { defer close(stopped); s.Stop() }()
	g.Eventually(func() int {
		response, _ := s.do(t, http.MethodGet, "/readyz", "", "")
		return response.StatusCode
	}, "1s", "10ms").Should(Equal(http.StatusInternalServerError), "not ready")
	response, body := s.do(t, http.MethodGet, "/livez", "", "")
	g.Expect(response.StatusCode).To(Equal(http.StatusOK), body)
	g.Eventually(stopped, "20s").Should(BeClosed())
}

// TestTokenSettings asks for tokens of a server that bounds them.
func TestTokenSettings(t *testing.T) {
	g := NewWithT(t)
	s := start(t, func(c *apiserver.Config) {
		c.Settings.ServiceAccounts.MaxTokenExpiration.Duration = 2 * time.Hour
		c.Settings.ServiceAccounts.JWKSURI = "https://keys.example.com/jwks"
	})
	defer s.Stop()
	s.mustPost(t, "/api/v1/namespaces", `{"metadata":{"name":"default"}}`)
	s.mustPost(t, "/api/v1/namespaces/default/serviceaccounts", `{"metadata":{"name":"sa"}}`)
	response, body := s.do(t, http.MethodPost, "/api/v1/namespaces/default/serviceaccounts/sa/token", "secret",
		`{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","spec":{"expirationSeconds":86400}}`)
	g.Expect(response.StatusCode).To(Equal(http.StatusCreated), body)
	g.Expect(response.Header.Get("Warning")).To(ContainSubstring("requested expiration of 86400 seconds shortened to 7200 seconds"))
	_, body = s.do(t, http.MethodGet, "/.well-known/openid-configuration", "secret", "")
	g.Expect(body).To(ContainSubstring(`"jwks_uri":"https://keys.example.com/jwks"`))
}

// TestOIDCIssuer signs tokens of an issuer that is configured as by flags.
func TestOIDCIssuer(t *testing.T) {
	g := NewWithT(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	g.Expect(err).NotTo(HaveOccurred())
	issuer := httptest.NewUnstartedServer(nil)
	issuer.StartTLS()
	defer issuer.Close()
	issuer.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/keys" {
			_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": issuer.URL, "jwks_uri": issuer.URL + "/keys", "id_token_signing_alg_values_supported": []string{"ES256"}})
	})
	ca := written(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer.Certificate().Raw})))
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, nil)
	g.Expect(err).NotTo(HaveOccurred())
	token := func(claims map[string]any) string {
		all := map[string]any{"iss": issuer.URL, "aud": "me", "sub": "jane", "groups": []string{"devs"}, "exp": time.Now().Add(time.Hour).Unix(), "org": "acme"}
		for k, v := range claims {
			all[k] = v
		}
		text, err := jwt.Signed(signer).Claims(all).CompactSerialize()
		g.Expect(err).NotTo(HaveOccurred())
		return text
	}
	for algorithm, works := range map[string]bool{"ES256": true, "RS256": false} {
		s := start(t, func(c *apiserver.Config) {
			c.Settings.Authentication.OIDC = v1alpha1.OIDC{IssuerURL: issuer.URL, ClientID: "me", CAFile: ca, GroupsClaim: "groups", GroupsPrefix: "oidc:",
				RequiredClaims: map[string]string{"org": "acme"}, SigningAlgs: []string{algorithm}}
		})
		who := func(token string) (int, string) {
			response, body := s.do(t, http.MethodPost, "/apis/authentication.k8s.io/v1/selfsubjectreviews", token, `{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}`)
			return response.StatusCode, body
		}
		if !works {
			code, body := who(token(nil))
			g.Expect(code).To(Equal(http.StatusUnauthorized), "an algorithm that is not allowed: %s", body)
			s.Stop()
			continue
		}
		g.Eventually(func() int { code, _ := who(token(nil)); return code }, "30s").Should(Equal(http.StatusCreated), "the issuer's keys are read")
		_, body := who(token(nil))
		g.Expect(body).To(And(ContainSubstring(issuer.URL+"#jane"), ContainSubstring(`"oidc:devs"`)))
		for _, wrong := range []map[string]any{{"aud": "other"}, {"org": "other"}, {"exp": time.Now().Add(-time.Hour).Unix()}} {
			code, body := who(token(wrong))
			g.Expect(code).To(Equal(http.StatusUnauthorized), "%v: %s", wrong, body)
		}
		s.Stop()
	}
}
