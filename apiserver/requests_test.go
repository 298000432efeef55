package apiserver_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/coracle-k8s/coracle/apiserver"
)

func TestRequests(t *testing.T) {
	s := start(t, func(c *apiserver.Config) {
		c.Settings.RequestTimeout.Duration = 10 * time.Second
		c.Settings.CORSAllowedOrigins = []string{`^https://ok\.example$`}
		c.Extra = map[string]http.Handler{
			"/slow": http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
		}
	})
	defer s.Stop()
	s.awaitReady(t)
	for name, c := range map[string]struct {
		path   string
		header []string
		code   int
		body   string
		want   map[string]string
	}{
		"audit ID given":         {path: "/version", header: []string{"Audit-ID", "mine"}, code: 200, want: map[string]string{"Audit-Id": "mine", "Cache-Control": "no-cache, private"}},
		"request timeout":        {path: "/slow", code: 504, body: `"reason":"Timeout"`},
		"timeout asked for":      {path: "/slow?timeout=50ms", code: 504, body: `"reason":"Timeout"`},
		"timeout is nonsense":    {path: "/api/v1/pods?timeout=soon", code: 400, body: "invalid timeout specified in the request URL"},
		"origin that may":        {path: "/version", header: []string{"Origin", "https://ok.example"}, code: 200, want: map[string]string{"Access-Control-Allow-Origin": "https://ok.example"}},
		"origin that may not":    {path: "/version", header: []string{"Origin", "https://ok.example.org"}, code: 200, want: map[string]string{"Access-Control-Allow-Origin": ""}},
		"acts as somebody":       {path: "/version", header: []string{"Impersonate-User", "bob", "Impersonate-Uid", "1"}, code: 200},
		"acts without a name":    {path: "/version", header: []string{"Impersonate-Group", "g"}, code: 400, body: "without impersonating a user"},
		"check left out":         {path: "/readyz?exclude=nothing", code: 200, body: "ok"},
		"check that is not":      {path: "/readyz/nothing", code: 404},
		"metrics of the server":  {path: "/metrics", code: 200, body: "apiserver_request_total"},
		"keys of tokens":         {path: "/openid/v1/jwks", code: 200, body: `"keys"`, want: map[string]string{"Content-Type": "application/jwk-set+json"}},
		"who signs those tokens": {path: "/.well-known/openid-configuration", code: 200, body: `"issuer"`},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			response, body := s.do(t, http.MethodGet, c.path, "secret", "", c.header...)
			g.Expect(response.StatusCode).To(Equal(c.code), body)
			g.Expect(body).To(ContainSubstring(c.body))
			g.Expect(response.Header.Get("Audit-Id")).NotTo(BeEmpty())
			for key, value := range c.want {
				g.Expect(response.Header.Get(key)).To(Equal(value), key)
			}
		})
	}
}

func TestAnonymousAnywhereIfConfigured(t *testing.T) {
	g := NewWithT(t)
	s := start(t, func(c *apiserver.Config) { c.Settings.Authentication.AnonymousPaths = []string{"*"} })
	defer s.Stop()
	response, _ := s.do(t, http.MethodGet, "/version", "", "")
	g.Expect(response.StatusCode).To(Equal(http.StatusOK), "system:public-info-viewer")
	response, body := s.do(t, http.MethodGet, "/api/v1/pods", "", "")
	g.Expect(response.StatusCode).To(Equal(http.StatusForbidden))
	g.Expect(strings.Contains(body, `User \"system:anonymous\" cannot list resource \"pods\"`)).To(BeTrue(), body)
}

func TestStartTellsOfABadFile(t *testing.T) {
	g := NewWithT(t)
	for field, set := range map[string]func(*apiserver.Config){
		"authentication configuration": func(c *apiserver.Config) { c.Settings.Authentication.ConfigFile = "/none" },
		"authorization configuration":  func(c *apiserver.Config) { c.Settings.Authorization.ConfigFile = "/none" },
		"encryption configuration":     func(c *apiserver.Config) { c.Settings.Encryption.ConfigFile = "/none" },
		"audit policy":                 func(c *apiserver.Config) { c.Settings.Audit.PolicyFile, c.Settings.Audit.LogPath = "/none", "-" },
		"token webhook":                func(c *apiserver.Config) { c.Settings.Authentication.TokenWebhook.KubeconfigFile = "/none" },
		"front proxy":                  func(c *apiserver.Config) { c.Settings.Authentication.RequestHeader.ClientCAFile = "/none" },
	} {
		config := configure(t)
		set(&config)
		_, err := apiserver.Start(t.Context(), config)
		g.Expect(err).To(MatchError(ContainSubstring(field)))
	}
}
