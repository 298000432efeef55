package services

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
// that nobody closes.
func TestIdleConnectionsEndWithTheNetwork(t *testing.T) {
	g := NewWithT(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	host, _, err := net.SplitHostPort(strings.TrimPrefix(server.URL, "http://"))
	g.Expect(err).NotTo(HaveOccurred())
	port := int32(server.Listener.Addr().(*net.TCPAddr).Port)
	before := goleak.IgnoreCurrent()
	n := New(Config{
		Service: func(context.Context, string, string) (*corev1.Service, error) { return service(nil), nil },
		Endpoints: func(context.Context, string, string) ([]*discoveryv1.EndpointSlice, error) {
			s := slice(discoveryv1.AddressTypeIPv4, "web", discoveryv1.Endpoint{Addresses: []string{host}})
			s.Ports[0].Port = &port
			return []*discoveryv1.EndpointSlice{s}, nil
		},
	})
	client := &http.Client{Transport: &http.Transport{DialContext: n.DialService("n", "s", 443)}}
	response, err := client.Get("http://s.n.svc:443/")
	g.Expect(err).NotTo(HaveOccurred())
	_, err = io.ReadAll(response.Body)
	g.Expect(err).NotTo(HaveOccurred())
	response.Body.Close()
	g.Expect(n.open).To(HaveLen(1))
	n.Stop()
	server.Close()
	g.Expect(goleak.Find(before)).To(Succeed())
	_, err = n.Dial(t.Context(), "tcp", server.Listener.Addr().String())
	g.Expect(err).To(HaveOccurred())
}
