// Package connector connects the API server to the agents of nodes.
//
// The API of this package is not stable: see docs/api.md.
package connector

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	certutil "k8s.io/client-go/util/cert"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/apiserver/egress"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// Config holds what it takes to reach agents. All fields are required.
type Config struct {
	// Server connects to the API server, which has the addresses of nodes.
	Server *rest.Config
	// Settings are those of the API server's configuration.
	Settings v1alpha1.Kubelet
	// Authorities verify the certificates of agents, unless Settings has others.
	Authorities *x509.CertPool
	// Certificate returns the certificate that agents get to see, unless Settings has
	// another one.
	Certificate func() (tls.Certificate, error)
}

// Connector reaches agents: those of this process through memory, others by
// TLS at the address and port their node reports, with a certificate for the node's
// name of the authority that signs those of agents and nothing else.
type Connector struct {
	config Config

	mu    sync.Mutex
	local map[string]*localAgent
	// added is closed, and made again, when an agent is added.
	added  chan struct{}
	remote *http.Transport
}

var _ registry.NodeConnector = (*Connector)(nil)

// New returns a Connector without agents of this process. It reads the files that
// Config.Settings names.
func New(c Config) (*Connector, error) {
	n := &Connector{config: c, added: make(chan struct{}), local: map[string]*localAgent{}}
	if c.Settings.CAFile+c.Settings.CertFile != "" {
		if _, err := n.remoteTransport(); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// Add serves h as the agent of a node of this process.
func (n *Connector) Add(node string, h http.Handler) {
	a := serve(h)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.local[node] = a
	close(n.added)
	n.added = make(chan struct{})
}

// Await returns when that many nodes of this process have their agents, or ctx is done.
func (n *Connector) Await(ctx context.Context, nodes int) {
	for {
		n.mu.Lock()
		up, added := len(n.local), n.added
		n.mu.Unlock()
		if up >= nodes {
			return
		}
		select {
		case <-added:
		case <-ctx.Done():
			return
		}
	}
}

// Close ends all connections to agents.
func (n *Connector) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range n.local {
		a.close()
	}
	if n.remote != nil {
		n.remote.CloseIdleConnections()
	}
}

// Connect implements registry.NodeConnector.
func (n *Connector) Connect(ctx context.Context, node string) (*url.URL, http.RoundTripper, error) {
	n.mu.Lock()
	a := n.local[node]
	n.mu.Unlock()
	if a != nil {
		return &url.URL{Scheme: "http", Host: node}, a.transport, nil
	}
	address, port, err := n.locate(ctx, node)
	if err != nil {
		return nil, nil, err
	}
	transport, err := n.remoteTransport()
	if err != nil {
		return nil, nil, apierrors.NewInternalError(err)
	}
	if n.config.Settings.CAFile != "" {
		// Others' authorities sign for addresses.
		return &url.URL{Scheme: "https", Host: net.JoinHostPort(address, fmt.Sprint(port))}, transport, nil
	}
	// By its name, which the certificate of no other agent has: an agent that takes
	// over another one's address gets nothing of what is meant for that.
	return &url.URL{Scheme: "https", Host: net.JoinHostPort(node, fmt.Sprint(port))}, transport, nil
}

// locate returns where the node's agent serves.
func (n *Connector) locate(ctx context.Context, node string) (address string, port int32, err error) {
	core, err := coreclient.NewForConfig(n.config.Server)
	if err != nil {
		return "", 0, apierrors.NewInternalError(err)
	}
	obj, err := core.Nodes().Get(ctx, node, metav1.GetOptions{})
	if err != nil {
		return "", 0, err
	}
	port, address = obj.Status.DaemonEndpoints.KubeletEndpoint.Port, agentAddress(obj, n.config.Settings.PreferredAddressTypes)
	if port == 0 || address == "" {
		return "", 0, apierrors.NewBadRequest(fmt.Sprintf("node %s serves no logs or streams here (a simulated node has none, one in a server's process has them at that server)", node))
	}
	return address, port, nil
}

// dial connects to NODE:PORT.
func (n *Connector) dial(ctx context.Context, network, to string) (net.Conn, error) {
	node, _, err := net.SplitHostPort(to)
	if err != nil {
		return nil, fmt.Errorf("connecting to an agent: %w", err)
	}
	address, port, err := n.locate(ctx, node)
	if err != nil {
		return nil, fmt.Errorf("connecting to the agent of node %s: %w", node, err)
	}
	return (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext(ctx, network, net.JoinHostPort(address, fmt.Sprint(port)))
}

// agentAddress returns the first address of the first type that the node has.
func agentAddress(node *corev1.Node, types []string) string {
	for _, t := range types {
		for _, a := range node.Status.Addresses {
			if string(a.Type) == t {
				return a.Address
			}
		}
	}
	return ""
}

func (n *Connector) remoteTransport() (*http.Transport, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.remote != nil {
		return n.remote, nil
	}
	cert, err := n.certificate()
	if err != nil {
		return nil, fmt.Errorf("loading the certificate for agents: %w", err)
	}
	remote := &http.Transport{DialContext: n.dial, TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, RootCAs: n.config.Authorities}}
	if file := n.config.Settings.CAFile; file != "" {
		if remote.TLSClientConfig.RootCAs, err = certutil.NewPool(file); err != nil {
			return nil, fmt.Errorf("reading the authorities of agents: %w", err)
		}
		remote.DialContext = egress.Dial // the certificate does not bind the node
	}
	n.remote = remote
	return n.remote, nil
}

// certificate returns the client certificate for agents of other processes.
func (n *Connector) certificate() (tls.Certificate, error) {
	if files := n.config.Settings; files.CertFile != "" {
		return tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	}
	return n.config.Certificate()
}
