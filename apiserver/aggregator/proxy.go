package aggregator

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/proxy"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/discovery"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/transport"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration"
	"k8s.io/streaming/pkg/httpstream"
)

// remote is another server, as one APIService names it.
type remote struct {
	spec      apiregistration.APIServiceSpec
	ref       apiregistration.ServiceReference
	gv        schema.GroupVersion
	transport *http.Transport
	err       error // why there is no transport
	available atomic.Bool
	// resources and docs are from the server's last answers.
	resources atomic.Pointer[[]metav1.APIResource]
	docs      atomic.Pointer[document]
}

func newRemote(c Config, a *apiService) *remote {
	r := &remote{spec: *a.Spec.DeepCopy(), ref: *a.Spec.Service, gv: schema.GroupVersion{Group: a.Spec.Group, Version: a.Spec.Version}}
	r.available.Store(available(a))
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: r.ref.Name + "." + r.ref.Namespace + ".svc", InsecureSkipVerify: a.Spec.InsecureSkipTLSVerify} //nolint:gosec // the APIService asks for it
	if len(c.Certificate.Certificate) > 0 {
		config.Certificates = []tls.Certificate{c.Certificate}
	}
	if len(a.Spec.CABundle) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(a.Spec.CABundle) {
			r.err = fmt.Errorf("reading the CA bundle of APIService %s: no certificate in it", a.Name)
		}
	}
	r.transport = &http.Transport{
		DialContext: c.Network.DialService(r.ref.Namespace, r.ref.Name, r.ref.Port), TLSClientConfig: config, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 90 * time.Second, MaxIdleConnsPerHost: 25,
	}
	return r
}

func (r *remote) close() { r.transport.CloseIdleConnections() }

// location returns the URL of a request; the transport finds an endpoint by itself.
func (r *remote) location(path, query string) *url.URL {
	host := net.JoinHostPort(r.ref.Name+"."+r.ref.Namespace+".svc", strconv.Itoa(int(r.ref.Port)))
	return &url.URL{Scheme: "https", Host: host, Path: path, RawQuery: query}
}

// Serve passes on requests for groups of other servers; for all others it
// returns false. No other server can serve the group of APIServices itself.
func (s *Server) Serve(w http.ResponseWriter, req *http.Request) bool {
	if !s.Demanded() {
		return false
	}
	parts := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	if len(parts) < 2 || parts[0] != "apis" || parts[1] == apiregistration.GroupName {
		return false
	}
	select {
	case <-s.listed:
	case <-req.Context().Done():
		http.Error(w, "the APIServices are being read", http.StatusServiceUnavailable)
		return true
	}
	if len(parts) == 2 {
		return s.serveGroup(parts[1], w, req)
	}
	name := parts[2] + "." + parts[1]
	s.mu.RLock()
	r := s.remotes[name]
	s.mu.RUnlock()
	if r == nil {
		return false
	}
	r.serve(w, req, func() { s.queue.Add(name) })
	return true
}

func (s *Server) serveGroup(name string, w http.ResponseWriter, req *http.Request) bool {
	s.mu.RLock()
	remote, group := s.groups[name], s.group(name)
	s.mu.RUnlock()
	if !remote {
		return false
	}
	scheme := runtime.NewScheme()
	v1 := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(scheme, v1)
	scheme.AddUnversionedTypes(v1, &metav1.Status{}, &metav1.APIGroup{})
	discovery.NewAPIGroupHandler(serializer.NewCodecFactory(scheme), group).ServeHTTP(w, req)
	return true
}

// discoveryTimeout bounds discovery of one server, which clients do for all.
const discoveryTimeout = 5 * time.Second

// serve passes a request on; broken is called when that fails.
func (r *remote) serve(w http.ResponseWriter, req *http.Request, broken func()) {
	if !r.available.Load() {
		http.Error(w, "service unavailable", http.StatusServiceUnavailable)
		return
	}
	if r.err != nil {
		http.Error(w, r.err.Error(), http.StatusInternalServerError)
		return
	}
	u, ok := request.UserFrom(req.Context())
	if !ok {
		http.Error(w, "missing user", http.StatusInternalServerError)
		return
	}
	ctx := req.Context()
	if info, ok := request.RequestInfoFrom(ctx); ok && !info.IsResourceRequest {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, discoveryTimeout)
		defer cancel()
	}
	location := r.location(req.URL.Path, req.URL.RawQuery)
	out := req.Clone(ctx)
	out.URL, out.Host = location, location.Host
	if out.Header.Get("X-Forwarded-Uri") == "" {
		out.Header.Set("X-Forwarded-Uri", req.URL.Path)
	}
	upgrade := httpstream.IsUpgradeRequest(req)
	if upgrade { // it does not go through the round tripper
		setUser(out, u)
	}
	h := proxy.NewUpgradeAwareHandler(location, asUser(u, r.transport), true, upgrade, &responder{broken})
	h.UseLocationHost = true
	// As by upstream's default for --aggregator-reject-forwarding-redirect: a
	// client would repeat its request, credentials and all, where it leads.
	h.RejectForwardingRedirects = true
	h.ServeHTTP(w, out)
}

func asUser(u user.Info, rt http.RoundTripper) http.RoundTripper {
	return transport.NewAuthProxyRoundTripper(u.GetName(), u.GetUID(), u.GetGroups(), u.GetExtra(), rt)
}

func setUser(req *http.Request, u user.Info) {
	transport.SetAuthProxyHeaders(req, u.GetName(), u.GetUID(), u.GetGroups(), u.GetExtra())
}

// responder answers when the other server does not.
type responder struct{ broken func() }

// Error implements proxy.ErrorResponder.
func (r *responder) Error(w http.ResponseWriter, _ *http.Request, err error) {
	r.broken()
	http.Error(w, err.Error(), http.StatusServiceUnavailable)
}
