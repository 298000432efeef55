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

// creating is the context of a POST.
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

// TestProxiesReachPodsAndNodesAlone offers proxies addresses that users and
// agents may write, but which are not theirs.
func TestProxiesReachPodsAndNodesAlone(t *testing.T) {
	w := newWorld(t, func(env *registry.Env) { env.Nodes = agent{base: &url.URL{Scheme: "https", Host: "127.0.0.1:6443"}} })
	p := w.mustCreate("pods", newPod("p")).(*corev1.Pod)
	p.Status.PodIP, p.Status.PodIPs = "10.1.0.1", []corev1.PodIP{{IP: "10.1.0.1"}}
	if _, _, err := w.storage("pods", "status").(rest.Updater).Update(in("default", ""), "p", rest.DefaultUpdatedObjectInfo(p),
		rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	target := func(namespace, name string) *corev1.ObjectReference {
		return &corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: name}
	}
	proxy := w.storage("services", "proxy").(rest.Connecter)
	for i, c := range []struct {
		address string
		target  *corev1.ObjectReference
		ok      bool
	}{
		{"10.1.0.1", target("default", "p"), true},
		{"10.1.0.1", nil, false},
		{"10.1.0.1", target("other", "p"), false},
		{"10.1.0.1", target("default", "none"), false},
		{"10.1.0.2", target("default", "p"), false},
	} {
		name := fmt.Sprint("s", i)
		w.mustCreate("services", &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}})
		w.mustCreate("endpointslices.discovery.k8s.io", &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
			AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: ptr.To(""), Port: ptr.To[int32](80)}},
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{c.address}, TargetRef: c.target}}})
		_, err := proxy.Connect(in("default", ""), name, &corev1.ServiceProxyOptions{}, responder{t})
		if c.ok != (err == nil) || err != nil && err.Error() != fmt.Sprintf("no endpoints available for service %q", name) {
			t.Errorf("service with %s of %v: %v", c.address, c.target, err)
		}
	}
	w.mustCreate("nodes", &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}, Status: corev1.NodeStatus{
		Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "169.254.169.254"}}}})
	for _, name := range []string{"n1", "n1:80"} {
		_, err := w.storage("nodes", "proxy").(rest.Connecter).Connect(in("", ""), name, &corev1.NodeProxyOptions{}, responder{t})
		if err == nil || err.Error() != "address not allowed" {
			t.Errorf("proxy of %s: %v", name, err)
		}
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
