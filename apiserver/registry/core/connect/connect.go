// Package connect carries requests of the connect subresources (log, exec,
// attach, portforward, proxy) to where they are answered: a node's agent, or
// the address of a pod.
package connect

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/netip"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/httpstream/wsstream"
	"k8s.io/apimachinery/pkg/util/proxy"
	"k8s.io/apiserver/pkg/registry/rest"
	utilproxy "k8s.io/apiserver/pkg/util/proxy"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// Methods that proxies pass on.
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

// Proxy passes any request on to location; it upgrades when the client asks to.
func Proxy(location *url.URL, transport http.RoundTripper, responder rest.Responder) http.Handler {
	return proxy.NewUpgradeAwareHandler(location, transport, true, false, proxy.NewErrorResponder(responder))
}

// upgrade passes a request on that must become a stream.
func upgrade(location *url.URL, transport http.RoundTripper, responder rest.Responder) *proxy.UpgradeAwareHandler {
	return proxy.NewUpgradeAwareHandler(location, transport, false, true, proxy.NewErrorResponder(responder))
}

// Streams is what of a container's standard streams the client wants.
type Streams struct{ Stdin, Stdout, Stderr, TTY bool }

// Remote connects to a command or a container: SPDY is passed on, websocket
// version 5 is translated to SPDY, as agents speak it.
func Remote(location *url.URL, transport http.RoundTripper, s Streams, responder rest.Responder) http.Handler {
	translate := utilproxy.NewStreamTranslatorHandler(location, transport, 0, utilproxy.Options{Stdin: s.Stdin, Stdout: s.Stdout, Stderr: s.Stderr, Tty: s.TTY})
	return utilproxy.NewTranslatingHandler(upgrade(location, transport, responder), translate, wsstream.IsWebSocketRequestWithStreamCloseProtocol)
}

// PortForward connects to ports of a pod: SPDY is passed on, and tunneled
// through a websocket for clients that ask for that.
func PortForward(location *url.URL, transport http.RoundTripper, responder rest.Responder) http.Handler {
	h := upgrade(location, transport, responder)
	return utilproxy.NewTranslatingHandler(h, utilproxy.NewTunnelingHandler(h), wsstream.IsWebSocketRequestWithTunnelingProtocol)
}

// DirectTransport reaches pods and services at their own addresses. It keeps
// no connections, so that there is nothing to close.
func DirectTransport() http.RoundTripper {
	return &http.Transport{
		DisableKeepAlives: true,
		// Certificates of pods are not made for their addresses.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above; upstream's proxy does so too
	}
}

// Proxyable returns an error for addresses through which a client would reach the
// server's own host or link: only global unicast addresses are proxied to.
func Proxyable(ip string) error {
	addr, err := netip.ParseAddr(ip)
	if err != nil || !addr.Unmap().IsGlobalUnicast() {
		return errors.New("address not allowed")
	}
	return nil
}
