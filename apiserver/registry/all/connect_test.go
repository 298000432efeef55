package all

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// agent answers with what it was asked for.
type agent struct {
	base      *url.URL
	transport http.RoundTripper
}

func newAgent(t *testing.T) agent {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Method, r.URL.RequestURI())
	}))
	t.Cleanup(server.Close)
	// The agent has a name, as those of the server's own process.
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return agent{&url.URL{Scheme: "http", Host: "agent"}, transport}
}

func (a agent) Connect(_ context.Context, node string) (*url.URL, http.RoundTripper, error) {
	if node != "n1" {
		return nil, nil, apierrors.NewServiceUnavailable("no such node")
	}
	return a.base, a.transport, nil
}

// responder fails the test.
type responder struct{ t *testing.T }

func (r responder) Object(int, runtime.Object) { r.t.Error("an object was answered") }
func (r responder) Error(err error)            { r.t.Errorf("an error was answered: %v", err) }

func TestRequestsReachTheAgent(t *testing.T) {
	w := newWorld(t, func(env *registry.Env) { env.Nodes = newAgent(t) })
	p := newPod("p")
	p.Spec.NodeName = "n1"
	w.mustCreate("pods", p)
	w.mustCreate("pods", newPod("unbound"))
	w.mustCreate("nodes", &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})

	logs := w.storage("pods", "log").(rest.GetterWithOptions)
	read := func(name string) (string, error) {
		obj, err := logs.Get(in("default", ""), name, &corev1.PodLogOptions{Follow: true})
		if err != nil {
			return "", err
		}
		stream, _, _, err := obj.(rest.ResourceStreamer).InputStream(context.Background(), "", "")
		if err != nil || stream == nil {
			return "", err
		}
		defer stream.Close()
		text, err := io.ReadAll(stream)
		return string(text), err
	}
	if got, err := read("p"); err != nil || got != "GET /containerLogs/default/p/c?follow=true" {
		t.Errorf("log: %q, %v", got, err)
	}
	if got, err := read("unbound"); err != nil || got != "" {
		t.Errorf("log of a pod without a node: %q, %v", got, err)
	}
	exec := w.storage("pods", "exec").(rest.Connecter)
	if _, err := exec.Connect(creating("default"), "unbound", &corev1.PodExecOptions{}, responder{t}); err == nil || err.Error() != "pod unbound does not have a host assigned" {
		t.Errorf("exec without a node: %v", err)
	}
	if h, err := exec.Connect(creating("default"), "p", &corev1.PodExecOptions{Command: []string{"a", "b"}, Stdout: true}, responder{t}); err != nil || h == nil {
		t.Errorf("exec: %v", err)
	}
	proxy := w.storage("nodes", "proxy").(rest.Connecter)
	// The agent of a node without a port of its own is found at the usual one.
	for _, name := range []string{"n1", "n1:10250", "https:n1:10250", "https:n1:"} {
		h, err := proxy.Connect(in("", ""), name, &corev1.NodeProxyOptions{Path: "/stats/summary"}, responder{t})
		if err != nil {
			t.Fatal(err)
		}
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/api/v1/nodes/"+name+"/proxy/stats/summary", nil))
		if got := answer.Body.String(); !strings.HasPrefix(got, "GET /stats/summary") {
			t.Errorf("proxy of %s: %q", name, got)
		}
	}
}

// creating returns the context of a POST.
func creating(namespace string) context.Context {
	return request.WithRequestInfo(in(namespace, ""), &request.RequestInfo{APIVersion: "v1", Verb: "create"})
}

type failing struct{ authorizer.Authorizer }

func (failing) Authorize(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
	return authorizer.DecisionNoOpinion, "", errors.New("no answer")
}

// TestStreamsAskTheAuthorizer gives the second question about a GET each answer
// that an authorizer may have; apiserver's TestStreamsNeedCreate asks the real one.
func TestStreamsAskTheAuthorizer(t *testing.T) {
	getting := request.WithRequestInfo(in("default", ""), &request.RequestInfo{APIVersion: "v1", Verb: "get", Resource: "pods", Name: "p", IsResourceRequest: true})
	for name, c := range map[string]struct {
		authorizer authorizer.Authorizer
		code       int32
		message    string
	}{
		"none":    {nil, http.StatusInternalServerError, "Internal error occurred: no authorizer available"},
		"denies":  {authorizerfactory.NewAlwaysDenyAuthorizer(), http.StatusForbidden, `pods "p" is forbidden: Everything is forbidden.`},
		"failing": {failing{authorizerfactory.NewAlwaysDenyAuthorizer()}, 0, "no answer"},
		"allows":  {authorizerfactory.NewAlwaysAllowAuthorizer(), http.StatusNotFound, `pods "p" not found`},
	} {
		w := newWorld(t, func(env *registry.Env) { env.Nodes, env.Authorizer = newAgent(t), c.authorizer })
		for sub, options := range map[string]runtime.Object{
			"attach": &corev1.PodAttachOptions{}, "exec": &corev1.PodExecOptions{}, "portforward": &corev1.PodPortForwardOptions{},
		} {
			_, err := w.storage("pods", sub).(rest.Connecter).Connect(getting, "p", options, responder{t})
			var status apierrors.APIStatus
			if err == nil || err.Error() != c.message || errors.As(err, &status) && status.Status().Code != c.code {
				t.Errorf("%s, authorizer %s: %v", sub, name, err)
			}
		}
	}
}

// TestProxiesRefuseTheServersHost asks for ports at addresses that a node, a pod or
// an EndpointSlice has been given, and that lead to the server's own host.
func TestProxiesRefuseTheServersHost(t *testing.T) {
	w := newWorld(t, func(env *registry.Env) { env.Nodes = newAgent(t) })
	w.mustCreate("nodes", &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	w.mustCreate("pods", newPod("p"))
	refused := func(resource, name string, options runtime.Object) {
		t.Helper()
		_, err := w.storage(resource, "proxy").(rest.Connecter).Connect(in("default", ""), name, options, responder{t})
		if !apierrors.IsBadRequest(err) || err.Error() != "address not allowed" {
			t.Errorf("%s %s: %v", resource, name, err)
		}
	}
	for _, address := range []string{"127.0.0.1", "localhost", "::1", "0.0.0.0", "::ffff:127.0.0.1", "169.254.169.254", "fe80::1%lo", "224.0.0.1"} {
		if _, err := w.update("nodes", "status", "", "n1", func(o runtime.Object) {
			o.(*corev1.Node).Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}}
		}); err != nil {
			t.Fatal(err)
		}
		for _, port := range []string{"1", "6443", "10249"} {
			refused("nodes", "n1:"+port, &corev1.NodeProxyOptions{})
			refused("nodes", "https:n1:"+port, &corev1.NodeProxyOptions{})
		}
	}
	for _, address := range []string{"127.0.0.1", "::1", "0.0.0.0", "169.254.169.254"} {
		if _, err := w.update("pods", "status", "default", "p", func(o runtime.Object) {
			o.(*corev1.Pod).Status.PodIP, o.(*corev1.Pod).Status.PodIPs = address, []corev1.PodIP{{IP: address}}
		}); err != nil {
			t.Fatal(err)
		}
		refused("pods", "p:80", &corev1.PodProxyOptions{})
	}
}

// TestServicesAreProxiedToPods has endpoints that refer to a pod, or to nothing.
func TestServicesAreProxiedToPods(t *testing.T) {
	w := newWorld(t, nil)
	w.mustCreate("pods", newPod("p"))
	if _, err := w.update("pods", "status", "default", "p", func(o runtime.Object) {
		o.(*corev1.Pod).Status.PodIP, o.(*corev1.Pod).Status.PodIPs = "10.9.9.9", []corev1.PodIP{{IP: "10.9.9.9"}}
	}); err != nil {
		t.Fatal(err)
	}
	pod := &corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: "p"}
	for name, c := range map[string]struct {
		address string
		to      *corev1.ObjectReference
		want    bool
	}{
		"pods":      {address: "10.9.9.9", to: pod, want: true},
		"byhand":    {address: "10.9.9.9"},
		"elsewhere": {address: "10.9.9.1", to: pod},
		"gone":      {address: "10.9.9.9", to: &corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: "q"}},
		"others":    {address: "10.9.9.9", to: &corev1.ObjectReference{Kind: "Pod", Namespace: "other", Name: "p"}},
	} {
		w.mustCreate("services", &corev1.Service{ObjectMeta: meta(name), Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone,
			Ports: []corev1.ServicePort{{Name: "web", Port: 80, Protocol: corev1.ProtocolTCP}}}})
		slice := &discoveryv1.EndpointSlice{ObjectMeta: meta(name), AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{c.address}, TargetRef: c.to}},
			Ports:     []discoveryv1.EndpointPort{{Name: ptr.To("web"), Port: ptr.To(int32(8080)), Protocol: ptr.To(corev1.ProtocolTCP)}}}
		slice.Labels = map[string]string{discoveryv1.LabelServiceName: name}
		w.mustCreate("endpointslices.discovery.k8s.io", slice)
		for _, id := range []string{name + ":80", "https:" + name + ":web"} {
			h, err := w.storage("services", "proxy").(rest.Connecter).Connect(in("default", ""), id, &corev1.ServiceProxyOptions{}, responder{t})
			if c.want && (err != nil || h == nil) {
				t.Errorf("%s: %v", id, err)
			}
			if want := fmt.Sprintf("no endpoints available for service %q", name); !c.want && (!apierrors.IsServiceUnavailable(err) || err.Error() != want) {
				t.Errorf("%s: %v", id, err)
			}
		}
	}
	for id, reason := range map[string]metav1.StatusReason{"none": metav1.StatusReasonServiceUnavailable, "none:web": metav1.StatusReasonServiceUnavailable, "none:80": metav1.StatusReasonNotFound} {
		if _, err := w.storage("services", "proxy").(rest.Connecter).Connect(in("default", ""), id, &corev1.ServiceProxyOptions{}, responder{t}); apierrors.ReasonForError(err) != reason {
			t.Errorf("%s, of no Service: %v, want %s", id, err, reason)
		}
	}
	w.mustCreate("services", &corev1.Service{ObjectMeta: meta("name"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost",
		Ports: []corev1.ServicePort{{Name: "web", Port: 80, Protocol: corev1.ProtocolTCP}}}})
	if _, err := w.storage("services", "proxy").(rest.Connecter).Connect(in("default", ""), "name:80", &corev1.ServiceProxyOptions{}, responder{t}); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("an external name: %v", err)
	}
}

func TestWithoutNodes(t *testing.T) {
	w := newWorld(t, nil)
	p := newPod("p")
	p.Spec.NodeName = "n1"
	w.mustCreate("pods", p)
	_, err := w.storage("pods", "log").(rest.GetterWithOptions).Get(in("default", ""), "p", &corev1.PodLogOptions{})
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Code != http.StatusServiceUnavailable {
		t.Errorf("got %v", err)
	}
}
