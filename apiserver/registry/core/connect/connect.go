// Package connect carries requests of the connect subresources (log, exec,
// attach, portforward, proxy) to where they are answered: a node's agent, or
// the address of a pod.
//
// The API of this package is not stable: see docs/api.md.
package connect

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/proxy"
	"k8s.io/apiserver/pkg/registry/rest"
	utilproxy "k8s.io/apiserver/pkg/util/proxy"
	"k8s.io/streaming/pkg/httpstream/wsstream"

	"github.com/coracle-k8s/coracle/apiserver/egress"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// Methods returns the methods that proxies pass on.
func Methods() []string {
	return []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}
}

// StreamMethods open streams: POST by SPDY clients, GET by websocket clients.
func StreamMethods() []string { return []string{http.MethodGet, http.MethodPost} }

// Agent returns base URL and transport of a node's agent.
func Agent(ctx context.Context, nodes registry.NodeConnector, node string) (*url.URL, http.RoundTripper, error) {
	if nodes == nil {
		return nil, nil, apierrors.NewServiceUnavailable("this server has no way to reach nodes")
	}
	return nodes.Connect(ctx, node)
}

// misplaced returns a handler that refuses requests for a location that is no URL, nil for others. A
// node's address and port are free text and a free number, and the library panics over them.
func misplaced(location *url.URL, responder rest.Responder) http.Handler {
	_, err := url.Parse(location.String())
	if err == nil {
		return nil
	}
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		responder.Error(apierrors.NewBadRequest("connecting: " + err.Error()))
	})
}

// Proxy passes any request on to location; it upgrades when the client asks to.
func Proxy(location *url.URL, transport http.RoundTripper, responder rest.Responder) http.Handler {
	if h := misplaced(location, responder); h != nil {
		return h
	}
	return proxy.NewUpgradeAwareHandler(location, transport, true, false, proxy.NewErrorResponder(refusals{responder}))
}

// refusals passes an API error on that a transport's error wraps, such as
// egress's, so that its code is answered.
type refusals struct{ rest.Responder }

// Error implements rest.Responder.
func (r refusals) Error(err error) {
	if status := (*apierrors.StatusError)(nil); errors.As(err, &status) {
		err = status
	}
	r.Responder.Error(err)
}

// upgrade passes a request on that must become a stream.
func upgrade(location *url.URL, transport http.RoundTripper, responder rest.Responder) *proxy.UpgradeAwareHandler {
	return proxy.NewUpgradeAwareHandler(location, transport, false, true, proxy.NewErrorResponder(responder))
}

// Streams holds what of a container's standard streams the client wants.
type Streams struct{ Stdin, Stdout, Stderr, TTY bool }

// Remote connects to a command or a container: SPDY is passed on, websocket
// version 5 is translated to SPDY, as agents speak it.
func Remote(location *url.URL, transport http.RoundTripper, s Streams, responder rest.Responder) http.Handler {
	if h := misplaced(location, responder); h != nil {
		return h
	}
	translate := utilproxy.NewStreamTranslatorHandler(location, transport, 0, utilproxy.Options{Stdin: s.Stdin, Stdout: s.Stdout, Stderr: s.Stderr, Tty: s.TTY})
	return utilproxy.NewTranslatingHandler(upgrade(location, transport, responder), translate, wsstream.IsWebSocketRequestWithStreamCloseProtocol)
}

// PortForward connects to ports of a pod: SPDY is passed on, and tunneled
// through a websocket for clients that ask for that.
func PortForward(location *url.URL, transport http.RoundTripper, responder rest.Responder) http.Handler {
	if h := misplaced(location, responder); h != nil {
		return h
	}
	h := upgrade(location, transport, responder)
	return utilproxy.NewTranslatingHandler(h, utilproxy.NewTunnelingHandler(h), wsstream.IsWebSocketRequestWithTunnelingProtocol)
}

// DirectTransport reaches pods, services and nodes at their own addresses, as
// far as egress lets it. It keeps no connections, so that there is nothing to
// close.
func DirectTransport() http.RoundTripper {
	return &http.Transport{
		DialContext: egress.Dial, TLSHandshakeTimeout: 10 * time.Second, DisableKeepAlives: true,
		// Certificates of pods are not made for their addresses.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above; upstream's proxy does so too
	}
}
