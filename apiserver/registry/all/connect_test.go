package all

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// agent answers with what it was asked for.
type agent struct{ base *url.URL }

func newAgent(t *testing.T) agent {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Method, r.URL.RequestURI())
	}))
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return agent{base}
}

func (a agent) Connect(_ context.Context, node string) (*url.URL, http.RoundTripper, error) {
	if node != "n1" {
		return nil, nil, apierrors.NewServiceUnavailable("no such node")
	}
	return a.base, http.DefaultTransport, nil
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
	if _, err := exec.Connect(in("default", ""), "unbound", &corev1.PodExecOptions{}, responder{t}); err == nil || err.Error() != "pod unbound does not have a host assigned" {
		t.Errorf("exec without a node: %v", err)
	}
	if h, err := exec.Connect(in("default", ""), "p", &corev1.PodExecOptions{Command: []string{"a", "b"}, Stdout: true}, responder{t}); err != nil || h == nil {
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
