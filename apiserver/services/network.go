package services

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/rest"

	"github.com/coracle-k8s/coracle/apiserver/egress"
)

// lookupTimeout bounds the reading of a Service and its endpoints, which are in
// the same process.
const lookupTimeout = 5 * time.Second

// Config holds what a Network needs. All fields are required but Self.
type Config struct {
	// Service reads a Service; errors are API errors.
	Service func(ctx context.Context, namespace, name string) (*corev1.Service, error)
	// Endpoints lists the EndpointSlices of a Service.
	Endpoints func(ctx context.Context, namespace, service string) ([]*discoveryv1.EndpointSlice, error)
	// Self is the server's own address, host:port, for calls to
	// default/kubernetes when that has no endpoints.
	Self string
}

// Network calls Services. Make it with New; it runs nothing.
type Network struct {
	config Config

	mu      sync.Mutex
	open    map[*conn]struct{}
	stopped bool
}

// New makes a network over the server's storages.
func New(c Config) *Network {
	return &Network{config: c, open: map[*conn]struct{}{}}
}

var _ webhook.ServiceResolver = &Network{}

// ResolveEndpoint implements webhook.ServiceResolver: the https URL of one of
// the places where the port of a Service answers now. Errors are API errors.
func (n *Network) ResolveEndpoint(namespace, name string, port int32) (*url.URL, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	return n.Resolve(ctx, namespace, name, port)
}

// Resolve is ResolveEndpoint with a context. For an ExternalName Service it is
// that name; for default/kubernetes without endpoints, the server's own address.
func (n *Network) Resolve(ctx context.Context, namespace, name string, port int32) (*url.URL, error) {
	svc, err := n.config.Service(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	var slices []*discoveryv1.EndpointSlice
	if svc.Spec.Type != corev1.ServiceTypeExternalName {
		if slices, err = n.config.Endpoints(ctx, namespace, name); err != nil {
			return nil, err
		}
	}
	addresses, err := candidates(svc, port, slices, n.config.Self)
	if err != nil {
		return nil, err
	}
	return pick(addresses), nil
}

// DialService returns a dial function to the port of a Service, whatever
// address it is asked for; each connection may reach another endpoint.
func (n *Network) DialService(namespace, name string, port int32) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		u, err := n.Resolve(ctx, namespace, name, port)
		if err != nil {
			return nil, err
		}
		return n.dial(n.own(namespace, name))(ctx, network, u.Host)
	}
}

// own returns the address that a call of a Service may reach against egress's rule:
// the server itself, which may listen on loopback, is the Service default/kubernetes.
func (n *Network) own(namespace, name string) string {
	if namespace == "default" && name == "kubernetes" {
		return n.config.Self
	}
	return ""
}

var errStopped = errors.New("the API server has stopped")

// dial returns a dial function by egress's rule, but for the given addresses. Its
// connections end with the Network.
func (n *Network) dial(except ...string) egress.DialFunc {
	dial := egress.Except(except...)
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return n.track(c, address)
	}
}

func (n *Network) track(c net.Conn, address string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopped {
		c.Close()
		return nil, fmt.Errorf("connecting to %s: %w", address, errStopped)
	}
	tracked := &conn{Conn: c, network: n}
	n.open[tracked] = struct{}{}
	return tracked, nil
}

// Stop closes every connection and makes no more.
func (n *Network) Stop() {
	n.mu.Lock()
	n.stopped = true
	open := n.open
	n.open = map[*conn]struct{}{}
	n.mu.Unlock()
	for c := range open {
		c.Conn.Close()
	}
}

// conn notifies the network when it is closed.
type conn struct {
	net.Conn
	network *Network
}

func (c *conn) Close() error {
	c.network.mu.Lock()
	delete(c.network.open, c)
	c.network.mu.Unlock()
	return c.Conn.Close()
}

// Wrap implements webhook.AuthenticationInfoResolverWrapper: clients have the credentials
// that the wrapped resolver gives them, and their connections end with the Network.
//
// A webhook named by URL may be on loopback, as upstream allows and controllers in
// development need: only administrators of the cluster write webhooks. Its address
// alone is excepted from egress's rule, not the address of a redirect. It is called
// through the environment's proxy if there is one for it; Services never are.
func (n *Network) Wrap(inner webhook.AuthenticationInfoResolver) webhook.AuthenticationInfoResolver {
	return &webhook.AuthenticationInfoResolverDelegator{
		ClientConfigForFunc: func(hostPort string) (*rest.Config, error) {
			c, err := inner.ClientConfigFor(hostPort)
			if err != nil {
				return nil, err
			}
			// The library brackets an IPv6 address that has no port twice.
			hostPort = strings.NewReplacer("[[", "[", "]]", "]").Replace(hostPort)
			via, err := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: "https", Host: hostPort}})
			if err != nil {
				return nil, fmt.Errorf("finding the proxy for %s: %w", hostPort, err)
			}
			return with(c, n.dial(hostPort, proxyAddress(via)), via), nil
		},
		ClientConfigForServiceFunc: func(name, namespace string, port int) (*rest.Config, error) {
			c, err := inner.ClientConfigForService(name, namespace, port)
			if err != nil {
				return nil, err
			}
			return with(c, n.dial(n.own(namespace, name)), nil), nil
		},
	}
}

// with returns c with that dial function and proxy, nil for none.
func with(c *rest.Config, dial egress.DialFunc, via *url.URL) *rest.Config {
	c = rest.CopyConfig(c)
	c.Dial, c.Proxy = dial, func(*http.Request) (*url.URL, error) { return via, nil }
	c.Wrap(Limit(webhookAnswer))
	return c
}

// proxyAddress returns the address that http.Transport dials for a proxy.
func proxyAddress(via *url.URL) string {
	if via == nil {
		return ""
	}
	port := via.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[via.Scheme]
	}
	return net.JoinHostPort(via.Hostname(), port)
}
