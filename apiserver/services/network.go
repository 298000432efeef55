package services

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/rest"
)

// lookupTimeout bounds the reading of a Service and its endpoints, which are in
// the same process.
const lookupTimeout = 5 * time.Second

// Config is what a Network needs. All fields are required but Self.
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
	dialer net.Dialer

	mu      sync.Mutex
	open    map[*conn]struct{}
	stopped bool
}

// New makes a network over the server's storages.
func New(c Config) *Network {
	return &Network{config: c, dialer: net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}, open: map[*conn]struct{}{}}
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
		return n.Dial(ctx, network, u.Host)
	}
}

var errStopped = errors.New("the API server has stopped")

// Dial connects like net.Dialer; the connection ends with the Network.
func (n *Network) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := n.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
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

// conn tells the network when it is closed.
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

// Wrap implements webhook.AuthenticationInfoResolverWrapper: clients have the
// credentials that the wrapped resolver gives them, and connect by Dial.
func (n *Network) Wrap(inner webhook.AuthenticationInfoResolver) webhook.AuthenticationInfoResolver {
	dialing := func(c *rest.Config, err error) (*rest.Config, error) {
		if err != nil {
			return nil, err
		}
		c = rest.CopyConfig(c)
		c.Dial = n.Dial
		return c, nil
	}
	return &webhook.AuthenticationInfoResolverDelegator{
		ClientConfigForFunc: func(hostPort string) (*rest.Config, error) { return dialing(inner.ClientConfigFor(hostPort)) },
		ClientConfigForServiceFunc: func(name, namespace string, port int) (*rest.Config, error) {
			return dialing(inner.ClientConfigForService(name, namespace, port))
		},
	}
}
