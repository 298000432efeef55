package apiserver_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/coracle-k8s/coracle/apiserver"
)

// agent notes the paths that it is asked for, and opens no stream.
type agent struct {
	base  *url.URL
	asked chan string
}

func newAgent(t *testing.T) *agent {
	a := &agent{asked: make(chan string, 1)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked <- r.Method + " " + r.URL.Path
		http.Error(w, "no stream", http.StatusTeapot)
	}))
	t.Cleanup(server.Close)
	var err error
	a.base, err = url.Parse(server.URL)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return a
}

// Connect implements registry.NodeConnector.
func (a *agent) Connect(context.Context, string) (*url.URL, http.RoundTripper, error) {
	return a.base, http.DefaultTransport, nil
}

// upgrade asks for a stream, by HTTP/1.1, of which alone a connection can become
// one. The stream, if it is one, is open while use runs.
func (s *server) upgrade(t *testing.T, method, path, token, upgrade, protocol string, use func(code int, status metav1.Status)) {
	t.Helper()
	g := NewWithT(t)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.authority.Pool()}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, nil)
	g.Expect(err).NotTo(HaveOccurred())
	header := map[string]string{"Authorization": "Bearer " + token, "Connection": "Upgrade", "Upgrade": upgrade}
	if upgrade == "websocket" {
		header["Sec-WebSocket-Version"], header["Sec-WebSocket-Key"], header["Sec-WebSocket-Protocol"] = "13", "dGhlIHNhbXBsZSBub25jZQ==", protocol
	} else {
		header["X-Stream-Protocol-Version"] = protocol
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	response, err := (&http.Client{Transport: transport}).Do(req)
	g.Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	var status metav1.Status
	if response.StatusCode == http.StatusForbidden {
		g.Expect(json.NewDecoder(response.Body).Decode(&status)).To(Succeed())
	}
	use(response.StatusCode, status)
}

// TestStreamsNeedCreate holds every way to open a stream to the permission that
// opening it by POST needs; see AuthorizePodWebsocketUpgradeCreatePermission.
func TestStreamsNeedCreate(t *testing.T) {
	a := newAgent(t)
	s := start(t, func(c *apiserver.Config) {
		c.Nodes = a
		for _, name := range []string{"getter", "creator", "both"} {
			c.Tokens[name] = &user.DefaultInfo{Name: name, Groups: []string{user.AllAuthenticated}}
		}
	})
	defer s.Stop()
	s.grantStreams(t, "getter", `["get"]`)
	s.grantStreams(t, "creator", `["create"]`)
	s.grantStreams(t, "both", `["get","create"]`)
	s.mustPost(t, "/api/v1/namespaces", `{"metadata":{"name":"w"}}`)
	s.mustPost(t, "/api/v1/namespaces/w/serviceaccounts", `{"metadata":{"name":"default"}}`)
	s.mustPost(t, "/api/v1/namespaces/w/pods", `{"metadata":{"name":"p"},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"i"}]}}`)

	const websocket, spdy = "websocket", "SPDY/3.1"
	for _, stream := range []struct {
		path, agent string
		websockets  []string
	}{
		{"exec?command=id&stdout=1", "/exec/w/p/c", []string{"v5.channel.k8s.io", "v4.channel.k8s.io", ""}},
		{"attach?stdout=1", "/attach/w/p/c", []string{"v5.channel.k8s.io", "v4.channel.k8s.io", ""}},
		{"portforward?ports=80", "/portForward/w/p", []string{"SPDY/3.1+portforward.k8s.io", "v4.channel.k8s.io", ""}},
	} {
		path := "/api/v1/namespaces/w/pods/p/" + stream.path
		type attempt struct{ method, upgrade, protocol string }
		attempts := []attempt{{http.MethodPost, spdy, "v4.channel.k8s.io"}, {http.MethodGet, spdy, "v4.channel.k8s.io"}}
		for _, p := range stream.websockets {
			attempts = append(attempts, attempt{http.MethodGet, websocket, p})
		}
		for _, c := range attempts {
			for token, may := range map[string]bool{"getter": false, "creator": c.method == http.MethodPost, "both": true} {
				t.Run(fmt.Sprintf("%s %s %s %s as %s", c.method, stream.agent, c.upgrade, c.protocol, token), func(t *testing.T) {
					s.upgrade(t, c.method, path, token, c.upgrade, c.protocol, func(code int, status metav1.Status) {
						g := NewWithT(t)
						if may {
							g.Expect(code).NotTo(Equal(http.StatusForbidden), status.Message)
							g.Eventually(a.asked).Should(Receive(HaveSuffix(stream.agent)))
							return
						}
						g.Expect(code).To(Equal(http.StatusForbidden))
						g.Expect(status.Reason).To(Equal(metav1.StatusReasonForbidden))
						if token == "getter" && c.method == http.MethodGet { // the second question, in upstream's words
							g.Expect(status.Message).To(Equal(`pods "p" is forbidden: `))
							g.Expect(status.Details.Kind).To(Equal("pods"))
						}
						g.Expect(a.asked).To(BeEmpty())
					})
				})
			}
		}
	}
}

// grantStreams lets a user do with verbs what opens streams.
func (s *server) grantStreams(t *testing.T, name, verbs string) {
	t.Helper()
	const rbac = "/apis/rbac.authorization.k8s.io/v1/"
	s.mustPost(t, rbac+"clusterroles", fmt.Sprintf(`{"metadata":{"name":%q},"rules":[{"apiGroups":[""],"resources":["pods/exec","pods/attach","pods/portforward"],"verbs":%s}]}`, name, verbs))
	s.mustPost(t, rbac+"clusterrolebindings", fmt.Sprintf(`{"metadata":{"name":%[1]q},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":%[1]q},
		"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":%[1]q}]}`, name))
}

func (s *server) mustPost(t *testing.T, path, body string) {
	t.Helper()
	response, text := s.do(t, http.MethodPost, path, "secret", body)
	NewWithT(t).Expect(response.StatusCode).To(Equal(http.StatusCreated), text)
}
