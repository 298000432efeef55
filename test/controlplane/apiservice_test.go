package controlplane

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apiserver/pki"
	"github.com/coracle-k8s/coracle/test/env"
)

// backend is an HTTPS server of the test process behind a Service of the cluster.
type backend struct {
	*httptest.Server
	authority *pki.Authority
}

// hostAddress returns an address of this machine that an EndpointSlice may have.
func hostAddress() string {
	GinkgoHelper()
	addresses, err := net.InterfaceAddrs()
	Expect(err).NotTo(HaveOccurred())
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			return n.IP.String()
		}
	}
	Skip("this machine has no address but loopback")
	return ""
}

// serve runs h behind the Service name in namespace default, port 443.
func (w world) serve(ctx context.Context, name string, h http.Handler) backend {
	GinkgoHelper()
	now := metav1.Now().Time
	authority, err := pki.Open(GinkgoT().TempDir(), now)
	Expect(err).NotTo(HaveOccurred())
	pair, err := authority.Certificate(pki.Request{Name: "server", User: name, Hosts: []string{name + ".default.svc"}}, now)
	Expect(err).NotTo(HaveOccurred())
	cert, err := pair.TLS()
	Expect(err).NotTo(HaveOccurred())
	address := hostAddress()
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	Expect(err).NotTo(HaveOccurred())
	server := httptest.NewUnstartedServer(h)
	server.Listener.Close()
	server.Listener, server.TLS = listener, &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequestClientCert}
	server.EnableHTTP2 = true
	server.StartTLS()
	DeferCleanup(server.Close)
	Expect(w.Client.Create(ctx, &corev1.Service{ObjectMeta: named("default", name), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "https", Port: 443}}}})).To(Succeed())
	port := int32(listener.Addr().(*net.TCPAddr).Port)
	slice := &discoveryv1.EndpointSlice{ObjectMeta: named("default", name), AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)}}},
		Ports:     []discoveryv1.EndpointPort{{Name: ptr.To("https"), Port: &port, Protocol: ptr.To(corev1.ProtocolTCP)}}}
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: name}
	Expect(w.Client.Create(ctx, slice)).To(Succeed())
	return backend{server, authority}
}

// converter is a conversion webhook that moves spec.hull to spec.material and back.
type converter struct {
	mu    sync.Mutex
	calls int
}

func (c *converter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.calls++
	c.mu.Unlock()
	review := &apiextensionsv1.ConversionReview{}
	if json.NewDecoder(r.Body).Decode(review) != nil {
		http.Error(w, "bad review", http.StatusBadRequest)
		return
	}
	response := &apiextensionsv1.ConversionResponse{UID: review.Request.UID, Result: metav1.Status{Status: metav1.StatusSuccess}}
	for _, raw := range review.Request.Objects {
		u := &unstructured.Unstructured{}
		if u.UnmarshalJSON(raw.Raw) != nil {
			http.Error(w, "bad object", http.StatusBadRequest)
			return
		}
		from, to := "hull", "material"
		if strings.HasSuffix(review.Request.DesiredAPIVersion, "/v1") {
			from, to = to, from
		}
		spec, _, _ := unstructured.NestedMap(u.Object, "spec")
		spec[to] = spec[from]
		delete(spec, from)
		u.Object["spec"] = spec
		u.SetAPIVersion(review.Request.DesiredAPIVersion)
		response.ConvertedObjects = append(response.ConvertedObjects, runtime.RawExtension{Object: u})
	}
	review.Request, review.Response = nil, response
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review)
}

var _ = Describe("a conversion webhook", func() {
	It("serves each version of what is stored in one", func(ctx SpecContext) {
		w := begin()
		hook := &converter{}
		b := w.serve(ctx, "converter", hook)
		const group = "convert.example.com"
		crds := w.definitions()
		Expect(crds.Create(ctx, boats(group, func(crd *apiextensionsv1.CustomResourceDefinition) {
			free := &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: ptr.To(true)}}
			crd.Spec.Versions[0].Schema, crd.Spec.Versions[0].SelectableFields, crd.Spec.Versions[0].AdditionalPrinterColumns = free, nil, nil
			crd.Spec.Versions = append(crd.Spec.Versions, apiextensionsv1.CustomResourceDefinitionVersion{Name: "v2", Served: true, Schema: free})
			crd.Spec.Conversion = &apiextensionsv1.CustomResourceConversion{Strategy: apiextensionsv1.WebhookConverter, Webhook: &apiextensionsv1.WebhookConversion{
				ConversionReviewVersions: []string{"v1"},
				ClientConfig: &apiextensionsv1.WebhookClientConfig{CABundle: b.authority.PEM,
					Service: &apiextensionsv1.ServiceReference{Namespace: "default", Name: "converter", Path: ptr.To("/convert")}},
			}}
		}))).To(Succeed())
		v1 := w.dynamic(schema.GroupVersionResource{Group: group, Version: "v1", Resource: "boats"}).Namespace("default")
		v2 := w.dynamic(schema.GroupVersionResource{Group: group, Version: "v2", Resource: "boats"}).Namespace("default")
		_, err := v1.Create(ctx, boat(group, "v1", "old", map[string]any{"hull": "hide"}), metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		got, err := v2.Get(ctx, "old", metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(got.Object["spec"]).To(Equal(map[string]any{"material": "hide"}))
		_, err = v2.Create(ctx, boat(group, "v2", "new", map[string]any{"material": "willow"}), metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		list, err := v1.List(ctx, metav1.ListOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(list.Items).To(HaveLen(2))
		for _, u := range list.Items {
			Expect(u.Object["spec"]).To(HaveKey("hull"))
		}
		Expect(hook.calls).To(BeNumerically(">", 1))
	})
})

// fleet is an API server with one resource, for those that a trusted proxy names.
type fleet struct {
	proxies *x509.CertPool
	mu      sync.Mutex
	users   []string
}

func (f *fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if len(r.TLS.PeerCertificates) == 0 {
		http.Error(w, "no certificate", http.StatusUnauthorized)
		return
	}
	cert := r.TLS.PeerCertificates[0]
	if _, err := cert.Verify(x509.VerifyOptions{Roots: f.proxies, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil || cert.Subject.CommonName != "front-proxy-client" {
		http.Error(w, "not the proxy", http.StatusUnauthorized)
		return
	}
	answer := func(v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	switch r.URL.Path {
	case "/apis/fleet.example.com/v1":
		answer(metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: "fleet.example.com/v1",
			APIResources: []metav1.APIResource{{Name: "ships", SingularName: "ship", Namespaced: true, Kind: "Ship", Verbs: metav1.Verbs{"get", "list"}}}})
	case "/openapi/v3":
		answer(map[string]any{"paths": map[string]any{"apis/fleet.example.com/v1": map[string]any{"serverRelativeURL": "/openapi/v3/apis/fleet.example.com/v1?hash=ABC"}}})
	case "/openapi/v3/apis/fleet.example.com/v1":
		answer(map[string]any{"openapi": "3.0.0", "info": map[string]any{"title": "fleet", "version": "1"}, "paths": map[string]any{}})
	case "/openapi/v2":
		answer(map[string]any{"swagger": "2.0", "paths": map[string]any{
			"/apis/fleet.example.com/v1/ships": map[string]any{"get": map[string]any{"responses": map[string]any{"200": map[string]any{"description": "OK", "schema": map[string]any{"$ref": "#/definitions/com.example.fleet.v1.Ship"}}}}},
			"/apis/other/v1/x":                 map[string]any{},
		}, "definitions": map[string]any{"com.example.fleet.v1.Ship": map[string]any{"type": "object"}, "unused": map[string]any{"type": "object"}}})
	case "/apis/fleet.example.com/v1/namespaces/default/ships/astray":
		http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
	default:
		f.mu.Lock()
		f.users = append(f.users, r.Header.Get("X-Remote-User"))
		f.mu.Unlock()
		ship := &unstructured.Unstructured{Object: map[string]any{}}
		ship.SetAPIVersion("fleet.example.com/v1")
		ship.SetKind("Ship")
		ship.SetName("curragh")
		ship.SetNamespace("default")
		answer(map[string]any{"kind": "ShipList", "apiVersion": "fleet.example.com/v1", "metadata": map[string]any{}, "items": []any{ship.Object}})
	}
}

func (w world) registrations() client.WithWatch {
	GinkgoHelper()
	scheme := runtime.NewScheme()
	Expect(apiregistrationv1.AddToScheme(scheme)).To(Succeed())
	c, err := client.NewWithWatch(w.Config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

var _ = Describe("APIServices", func() {
	It("list what is served here, at the first request", func(ctx SpecContext) {
		w := begin()
		Expect(w.ok("get", "apiservices")).To(And(MatchRegexp(`v1\.\s+Local\s+True`), MatchRegexp(`v1\.apps\s+Local\s+True`)))
		Expect(w.definitions().Create(ctx, boats("example.com", nil))).To(Succeed())
		Eventually(func() string { return w.ok("get", "apiservices") }).Should(MatchRegexp(`v1\.example\.com\s+Local\s+True`))
		Expect(w.definitions().Delete(ctx, boats("example.com", nil))).To(Succeed())
		Eventually(func() string { return w.ok("get", "apiservices") }).ShouldNot(ContainSubstring("example.com"))
	})

	It("bring another server's API in, and say when it is away", func(ctx SpecContext) {
		dir := GinkgoT().TempDir()
		w := begin(env.WithDir(dir))
		published := &corev1.ConfigMap{}
		w.get(published, "kube-system", "extension-apiserver-authentication")
		pool := x509.NewCertPool()
		Expect(pool.AppendCertsFromPEM([]byte(published.Data["requestheader-client-ca-file"]))).To(BeTrue())
		Expect(published.Data["requestheader-allowed-names"]).To(Equal(`["front-proxy-client"]`))
		f := &fleet{proxies: pool}
		b := w.serve(ctx, "fleet", f)
		registration := &apiregistrationv1.APIService{ObjectMeta: metav1.ObjectMeta{Name: "v1.fleet.example.com"}, Spec: apiregistrationv1.APIServiceSpec{
			Group: "fleet.example.com", Version: "v1", GroupPriorityMinimum: 2000, VersionPriority: 200, CABundle: b.authority.PEM,
			Service: &apiregistrationv1.ServiceReference{Namespace: "default", Name: "fleet"},
		}}
		c := w.registrations()
		Expect(c.Create(ctx, registration)).To(Succeed())
		condition := func(status, reason string) {
			GinkgoHelper()
			Eventually(func(g Gomega) {
				g.Expect(c.Get(ctx, client.ObjectKeyFromObject(registration), registration)).To(Succeed())
				g.Expect(registration.Status.Conditions).To(ContainElement(And(HaveField("Status", apiregistrationv1.ConditionStatus(status)), HaveField("Reason", reason))))
			}).Should(Succeed())
		}
		condition("True", "Passed")
		Expect(w.ok("get", "ships")).To(ContainSubstring("curragh"))
		Expect(f.users).To(ContainElement("kubernetes-admin"), "the user is told in headers")
		Expect(w.ok("api-resources", "--api-group", "fleet.example.com")).To(ContainSubstring("Ship"))
		d, err := discovery.NewDiscoveryClientForConfig(w.Config)
		Expect(err).NotTo(HaveOccurred())
		groups, err := d.ServerGroups()
		Expect(err).NotTo(HaveOccurred())
		Expect(groups.Groups).To(ContainElement(HaveField("Name", "fleet.example.com")))
		v2 := w.ok("get", "--raw", "/openapi/v2")
		Expect(v2).To(And(ContainSubstring("com.example.fleet.v1.Ship"), Not(ContainSubstring("/apis/other/v1/x")), ContainSubstring("io.k8s.api.core.v1.Pod")))
		Expect(w.ok("get", "--raw", "/openapi/v3")).To(ContainSubstring("apis/fleet.example.com/v1?hash=ABC"))

		code := 0
		d.RESTClient().Get().AbsPath("/apis/fleet.example.com/v1/namespaces/default/ships/astray").Do(ctx).StatusCode(&code)
		Expect(code).To(Equal(http.StatusBadGateway), "a redirect is not passed on")

		By("restarting: it is served at once")
		w.Cluster.Stop()
		w = begin(env.WithDir(dir))
		c = w.registrations()
		Expect(w.ok("get", "ships")).To(ContainSubstring("curragh"))

		By("losing its endpoints")
		w.ok("delete", "endpointslice", "fleet")
		condition("False", "EndpointsNotFound")
		_, err = d.RESTClient().Get().AbsPath("/apis/fleet.example.com/v1/ships").DoRaw(ctx)
		Expect(err).To(HaveOccurred())
		w.ok("delete", "service", "fleet")
		condition("False", "ServiceNotFound")
		Expect(c.Delete(ctx, registration)).To(Succeed())
		Eventually(func() string { return w.ok("get", "--raw", "/apis") }).ShouldNot(ContainSubstring("fleet.example.com"))
	})
})
