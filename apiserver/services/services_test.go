package services

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
)

func service(change func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "s"}}
	s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	s.Spec.Ports = []corev1.ServicePort{{Name: "web", Port: 443}, {Name: "other", Port: 80}}
	if change != nil {
		change(s)
	}
	return s
}

func slice(family discoveryv1.AddressType, port string, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{AddressType: family, Endpoints: endpoints, Ports: []discoveryv1.EndpointPort{{Name: &port, Port: ptr.To[int32](8443)}}}
}

func TestCandidates(t *testing.T) {
	v4, v6 := discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6
	up := discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}}
	down := discoveryv1.Endpoint{Addresses: []string{"10.0.0.2"}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(false)}}
	six := discoveryv1.Endpoint{Addresses: []string{"fd00::1"}}
	for name, c := range map[string]struct {
		service   *corev1.Service
		port      int32
		endpoints []*discoveryv1.EndpointSlice
		want      []string
		missing   string
	}{
		"a ready endpoint, at its own port": {service: service(nil), port: 443, endpoints: []*discoveryv1.EndpointSlice{slice(v4, "web", up, down), slice(v4, "other", down)}, want: []string{"10.0.0.1:8443"}},
		"the first family first":            {service: service(nil), port: 443, endpoints: []*discoveryv1.EndpointSlice{slice(v6, "web", six), slice(v4, "web", up)}, want: []string{"10.0.0.1:8443"}},
		"else the other":                    {service: service(nil), port: 443, endpoints: []*discoveryv1.EndpointSlice{slice(v6, "web", six)}, want: []string{"[fd00::1]:8443"}},
		"no such port":                      {service: service(nil), port: 1, missing: `no service port 1 found for service "s"`},
		"nothing ready":                     {service: service(nil), port: 443, endpoints: []*discoveryv1.EndpointSlice{slice(v4, "web", down)}, missing: `no endpoints available for service "s"`},
		"a name elsewhere": {service: service(func(s *corev1.Service) {
			s.Spec.Type, s.Spec.ExternalName = corev1.ServiceTypeExternalName, "example.com"
		}), port: 8443, want: []string{"example.com:8443"}},
		"ourselves": {service: service(func(s *corev1.Service) { s.Namespace, s.Name = "default", "kubernetes" }), port: 443, want: []string{"127.0.0.1:6443"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got, err := candidates(c.service, c.port, c.endpoints, "127.0.0.1:6443")
			if c.missing != "" {
				g.Expect(apierrors.IsServiceUnavailable(err)).To(BeTrue(), "%v", err)
				g.Expect(err).To(MatchError(c.missing))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(got).To(Equal(c.want))
		})
	}
}

// TestIdleConnectionsEndWithTheNetwork leaves a connection idle in a transport
// that is never closed.
func TestIdleConnectionsEndWithTheNetwork(t *testing.T) {
	g := NewWithT(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	before := goleak.IgnoreCurrent()
	n := New(world(server, ""))
	client := &http.Client{Transport: &http.Transport{DialContext: n.DialService("default", "kubernetes", 443)}}
	response, err := client.Get("http://kubernetes.default.svc:443/")
	g.Expect(err).NotTo(HaveOccurred())
	_, err = io.ReadAll(response.Body)
	g.Expect(err).NotTo(HaveOccurred())
	response.Body.Close()
	g.Expect(n.open).To(HaveLen(1))
	n.Stop()
	server.Close()
	g.Expect(goleak.Find(before)).To(Succeed())
	_, err = n.DialService("default", "kubernetes", 443)(t.Context(), "tcp", "")
	g.Expect(err).To(HaveOccurred())
}

// world has the server as default/kubernetes, and behind every other Service: by
// an external name if there is one, else by endpoints that got past validation.
func world(server *httptest.Server, external string) Config {
	self := server.Listener.Addr().String()
	return Config{
		Self: self,
		Service: func(_ context.Context, namespace, name string) (*corev1.Service, error) {
			return service(func(s *corev1.Service) {
				s.Namespace, s.Name = namespace, name
				if external != "" {
					s.Spec.Type, s.Spec.ExternalName = corev1.ServiceTypeExternalName, external
				}
			}), nil
		},
		Endpoints: func(_ context.Context, namespace, _ string) ([]*discoveryv1.EndpointSlice, error) {
			if namespace == "default" {
				return nil, nil
			}
			to := netip.MustParseAddrPort(self)
			s := slice(discoveryv1.AddressTypeIPv4, "web", discoveryv1.Endpoint{Addresses: []string{to.Addr().String()}})
			s.Ports[0].Port = ptr.To(int32(to.Port()))
			return []*discoveryv1.EndpointSlice{s}, nil
		},
	}
}

// TestServicesDoNotLeadToTheServersHost holds APIServices and webhooks that refer
// to Services to egress's rule.
func TestServicesDoNotLeadToTheServersHost(t *testing.T) {
	g := NewWithT(t)
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	port := int32(netip.MustParseAddrPort(server.Listener.Addr().String()).Port())
	webhooks := func(n *Network) rest.Config {
		t.Helper()
		c, err := n.Wrap(&anonymous{}).ClientConfigForService("s", "n", int(port))
		g.Expect(err).NotTo(HaveOccurred())
		return *c
	}
	for _, external := range []string{"", "localhost", "127.0.0.1"} {
		n := New(world(server, external))
		defer n.Stop()
		asked := port
		if external == "" {
			asked = 443
		}
		_, err := n.DialService("n", "s", asked)(t.Context(), "tcp", "")
		g.Expect(err).To(MatchError(ContainSubstring("address not allowed")), external)
		u, err := n.ResolveEndpoint("n", "s", asked)
		g.Expect(err).NotTo(HaveOccurred())
		_, err = webhooks(n).Dial(t.Context(), "tcp", u.Host)
		g.Expect(err).To(MatchError(ContainSubstring("address not allowed")), external)
	}
	n := New(world(server, ""))
	defer n.Stop()
	c, err := n.Wrap(&anonymous{}).ClientConfigForService("kubernetes", "default", 443)
	g.Expect(err).NotTo(HaveOccurred())
	_, err = c.Dial(t.Context(), "tcp", server.Listener.Addr().String())
	g.Expect(err).NotTo(HaveOccurred(), "the server itself")
	g.Expect(c.Proxy(nil)).To(BeNil())
}

// TestWebhooksByURL may be on loopback, but redirect there only to themselves.
func TestWebhooksByURL(t *testing.T) {
	g := NewWithT(t)
	var hook, other *httptest.Server
	hook = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/elsewhere":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case "/here":
			http.Redirect(w, r, hook.URL, http.StatusTemporaryRedirect)
		}
	}))
	defer hook.Close()
	other = httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer other.Close()
	n := New(Config{})
	defer n.Stop()
	c, err := n.Wrap(&anonymous{}).ClientConfigFor(strings.TrimPrefix(hook.URL, "https://"))
	g.Expect(err).NotTo(HaveOccurred())
	c.Insecure = true
	client, err := rest.HTTPClientFor(c)
	g.Expect(err).NotTo(HaveOccurred())
	for path, want := range map[string]string{"": "", "/here": "", "/elsewhere": "address not allowed"} {
		response, err := client.Post(hook.URL+path, "application/json", strings.NewReader("{}"))
		if want != "" {
			g.Expect(err).To(MatchError(ContainSubstring(want)))
			continue
		}
		g.Expect(err).NotTo(HaveOccurred())
		response.Body.Close()
		g.Expect(response.StatusCode).To(Equal(http.StatusOK))
	}
}

func TestProxyAddress(t *testing.T) {
	for via, want := range map[string]string{"http://p": "p:80", "https://p": "p:443", "socks5://[::1]": "[::1]:1080", "http://127.0.0.1:3128": "127.0.0.1:3128"} {
		u, err := url.Parse(via)
		if err != nil {
			t.Fatal(err)
		}
		if got := proxyAddress(u); got != want {
			t.Errorf("%s: got %s, want %s", via, got, want)
		}
	}
	if got := proxyAddress(nil); got != "" {
		t.Errorf("without: got %s", got)
	}
}

// anonymous resolves to clients without credentials.
type anonymous struct{}

func (*anonymous) ClientConfigFor(string) (*rest.Config, error) { return &rest.Config{}, nil }

func (*anonymous) ClientConfigForService(string, string, int) (*rest.Config, error) {
	return &rest.Config{}, nil
}
