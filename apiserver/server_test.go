package apiserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/apiserver"
	"github.com/coracle-k8s/coracle/apiserver/etcd"
	"github.com/coracle-k8s/coracle/apiserver/pki"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/registry/all"
)

// server is a running server and how to reach it.
type server struct {
	*apiserver.Server
	url       string
	authority *pki.Authority
}

// configure returns a server's configuration in a directory of the test.
func configure(t *testing.T) apiserver.Config {
	t.Helper()
	config, err := configureIn(t.TempDir())
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return config
}

func configureIn(dir string) (apiserver.Config, error) {
	authority, err := pki.Open(filepath.Join(dir, "pki"), time.Now())
	if err != nil {
		return apiserver.Config{}, err
	}
	pair, err := authority.Certificate(pki.Request{Name: "apiserver", User: "kube-apiserver", Hosts: []string{"127.0.0.1"}}, time.Now())
	if err != nil {
		return apiserver.Config{}, err
	}
	certificate, err := pair.TLS()
	if err != nil {
		return apiserver.Config{}, err
	}
	key, err := authority.Key("service-account")
	if err != nil {
		return apiserver.Config{}, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	return apiserver.Config{
		Etcd: etcd.Config{Dir: filepath.Join(dir, "etcd"), UnsafeNoFsync: true}, Scheme: apis.NewScheme(), Resources: all.Default(),
		Listeners: []net.Listener{listener}, Certificate: certificate, Authority: authority, ServiceAccountKey: key,
		Tokens:   map[string]*user.DefaultInfo{"secret": {Name: "admin", Groups: []string{user.SystemPrivilegedGroup}}},
		Services: registry.ServiceNetwork{CIDR: "10.96.0.0/16", NodePortBase: 30000, NodePortSize: 2768},
	}, err
}

func start(t *testing.T, change ...func(*apiserver.Config)) *server {
	t.Helper()
	config := configure(t)
	for _, c := range change {
		c(&config)
	}
	s, err := apiserver.Start(t.Context(), config)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return &server{Server: s, url: "https://" + config.Listeners[0].Addr().String(), authority: config.Authority}
}

// awaitReady waits for what a server stores after it began to answer.
func (s *server) awaitReady(t *testing.T) {
	t.Helper()
	NewWithT(t).Eventually(func() (string, error) {
		response, body := s.do(t, http.MethodGet, "/readyz?verbose", "", "")
		if response.StatusCode != http.StatusOK {
			return body, nil
		}
		return "ready", nil
	}).Should(Equal("ready"))
}

// do sends one request of its own connection.
func (s *server) do(t *testing.T, method, path, token, body string, header ...string) (*http.Response, string) {
	t.Helper()
	return s.send(t, &tls.Config{RootCAs: s.authority.Pool()}, method, path, token, body, header...)
}

func (s *server) send(t *testing.T, config *tls.Config, method, path, token, body string, header ...string) (*http.Response, string) {
	t.Helper()
	g := NewWithT(t)
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	g.Expect(err).NotTo(HaveOccurred())
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	response, err := (&http.Client{Transport: transport}).Do(req)
	g.Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	g.Expect(err).NotTo(HaveOccurred())
	return response, string(data)
}

func TestServersSideBySideLeaveNothing(t *testing.T) {
	// klog's flush daemon and the libraries' own singletons started at init or
	// on first use, once a process.
	ignore := goleak.IgnoreCurrent()
	one, two := start(t), start(t)
	for _, s := range []*server{one, two} {
		s.awaitReady(t)
	}
	one.Stop()
	two.Stop()
	goleak.VerifyNone(t, ignore)
}

func TestStopEndsWatches(t *testing.T) {
	g := NewWithT(t)
	s := start(t)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.authority.Pool()}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	req, _ := http.NewRequest(http.MethodGet, s.url+"/api/v1/pods?watch=1", nil)
	req.Header.Set("Authorization", "Bearer secret")
	response, err := (&http.Client{Transport: transport}).Do(req)
	g.Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	began := time.Now()
	s.Stop()
	g.Expect(time.Since(began)).To(BeNumerically("<", 10*time.Second))
	_, _ = io.Copy(io.Discard, response.Body) // it ends
	<-s.Done()
	g.Expect(s.Err()).NotTo(HaveOccurred())
}

func TestWhoMayAsk(t *testing.T) {
	s := start(t)
	defer s.Stop()
	s.awaitReady(t)
	for name, c := range map[string]struct {
		path, token string
		code        int
	}{
		"anonymous health":  {"/livez", "", http.StatusOK},
		"anonymous version": {"/version", "", http.StatusUnauthorized},
		"anonymous list":    {"/api/v1/pods", "", http.StatusUnauthorized},
		"wrong token":       {"/api/v1/pods", "guess", http.StatusUnauthorized},
		"administrator":     {"/api/v1/pods", "secret", http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			response, body := s.do(t, http.MethodGet, c.path, c.token, "")
			NewWithT(t).Expect(response.StatusCode).To(Equal(c.code), body)
		})
	}
}

func TestClientCertificateIsAUserWithoutRights(t *testing.T) {
	g := NewWithT(t)
	s := start(t)
	defer s.Stop()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	g.Expect(err).NotTo(HaveOccurred())
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "ignored"}}, key)
	g.Expect(err).NotTo(HaveOccurred())
	signed, err := s.authority.Sign(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), pki.Request{User: "jane"}, time.Now())
	g.Expect(err).NotTo(HaveOccurred())
	block, _ := pem.Decode(signed)
	config := &tls.Config{RootCAs: s.authority.Pool(), Certificates: []tls.Certificate{{Certificate: [][]byte{block.Bytes}, PrivateKey: key}}}

	response, body := s.send(t, config, http.MethodGet, "/api/v1/namespaces/default/pods", "", "")
	g.Expect(response.StatusCode).To(Equal(http.StatusForbidden))
	g.Expect(body).To(ContainSubstring(`User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"`))
	response, _ = s.send(t, config, http.MethodGet, "/version", "", "")
	g.Expect(response.StatusCode).To(Equal(http.StatusOK), "authenticated users may discover")
}

func TestPathsAndMethodsThatAreNot(t *testing.T) {
	s := start(t)
	defer s.Stop()
	big := `{"metadata":{"name":"a"},"data":{"x":"` + strings.Repeat("x", 3<<20) + `"}}`
	for name, c := range map[string]struct {
		method, path, body string
		header             []string
		code               int
	}{
		"resource":             {"GET", "/api/v1/nothings", "", nil, 404},
		"group":                {"GET", "/apis/none.example/v1/things", "", nil, 404},
		"subresource":          {"GET", "/api/v1/namespaces/default/pods/a/nothing", "", nil, 404},
		"object":               {"GET", "/api/v1/namespaces/default/pods/a", "", nil, 404},
		"namespaced node":      {"GET", "/api/v1/namespaces/default/nodes", "", nil, 404},
		"method":               {"POST", "/api/v1/namespaces/default/configmaps/a", "{}", nil, 405},
		"media type asked":     {"GET", "/api/v1/pods", "", []string{"Accept", "image/png"}, 406},
		"media type given":     {"POST", "/api/v1/namespaces/default/configmaps", "x", []string{"Content-Type", "image/png"}, 415},
		"patch type":           {"PATCH", "/api/v1/namespaces/default", "{}", []string{"Content-Type", "application/json"}, 415},
		"body beyond 3 MiB":    {"POST", "/api/v1/namespaces/default/configmaps", big, nil, 413},
		"not JSON":             {"POST", "/api/v1/namespaces/default/configmaps", "{", nil, 400},
		"another kind":         {"POST", "/api/v1/namespaces/default/configmaps", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"}}`, nil, 400},
		"namespace terminates": {"POST", "/api/v1/namespaces/none/configmaps", `{"metadata":{"name":"a"}}`, nil, 404},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			response, body := s.do(t, c.method, c.path, "secret", c.body, c.header...)
			g.Expect(response.StatusCode).To(Equal(c.code), body)
			var status metav1.Status
			if name != "group" && response.StatusCode != http.StatusNotAcceptable {
				g.Expect(json.Unmarshal([]byte(body), &status)).To(Succeed(), body)
				g.Expect(status.Kind).To(Equal("Status"), body)
			}
		})
	}
}

func TestDiscoveryOldAndNew(t *testing.T) {
	g := NewWithT(t)
	s := start(t)
	defer s.Stop()
	_, body := s.do(t, "GET", "/apis", "secret", "")
	g.Expect(body).To(ContainSubstring(`"groupVersion":"apps/v1"`))
	_, body = s.do(t, "GET", "/apis", "secret", "", "Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
	g.Expect(body).To(ContainSubstring(`"resource":"deployments"`))
	_, body = s.do(t, "GET", "/api/v1", "secret", "")
	g.Expect(body).To(ContainSubstring(`"name":"pods/eviction"`))
	g.Expect(body).To(ContainSubstring(`"group":"policy"`))
	_, body = s.do(t, "GET", "/apis/apps", "secret", "")
	g.Expect(body).To(ContainSubstring(`"preferredVersion"`))
}

func TestLegacyWatchPath(t *testing.T) {
	g := NewWithT(t)
	s := start(t)
	defer s.Stop()
	response, body := s.do(t, "GET", "/api/v1/watch/namespaces/default/configmaps?timeoutSeconds=1", "secret", "")
	g.Expect(response.StatusCode).To(Equal(http.StatusOK), body)
}
