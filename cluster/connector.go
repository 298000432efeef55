package cluster

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"google.golang.org/grpc/test/bufconn"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/coracle-k8s/coracle/apiserver/pki"
)

// connector reaches agents: those of this process through memory, others by
// TLS at the address and port that their node reports. A node may report any
// address, loopback too, so the server sends nothing before the other side has
// shown the certificate that the node got by joining.
type connector struct {
	cluster *Cluster

	mu    sync.Mutex
	local map[string]*localAgent
	// added is closed, and made anew, when an agent is added.
	added chan struct{}
	// client is the certificate for agents, nil until the first is called.
	client *tls.Certificate
	// remote are the transports to agents by node: connections are not shared.
	remote map[string]*http.Transport
}

// localAgent serves an agent's API to this process.
type localAgent struct {
	listener  *bufconn.Listener
	server    *http.Server
	transport *http.Transport
	done      chan struct{}
}

func newConnector(c *Cluster) *connector {
	return &connector{cluster: c, added: make(chan struct{}), local: map[string]*localAgent{}, remote: map[string]*http.Transport{}}
}

// add serves h as the named node's agent.
func (n *connector) add(node string, h http.Handler) {
	a := &localAgent{listener: bufconn.Listen(256 << 10), server: &http.Server{Handler: h}, done: make(chan struct{})}
	a.transport = &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return a.listener.DialContext(ctx) },
		DisableCompression: true,
	}
	go func() {
		defer close(a.done)
		// It ends when close closes the listener; there is nobody to tell.
		_ = a.server.Serve(a.listener)
	}()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.local[node] = a
	close(n.added)
	n.added = make(chan struct{})
}

// await returns when that many nodes of this process are up, or ctx is done.
func (n *connector) await(ctx context.Context, nodes int) {
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

func (n *connector) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range n.local {
		a.server.Close()
		a.listener.Close()
		a.transport.CloseIdleConnections()
		<-a.done
	}
	for _, t := range n.remote {
		t.CloseIdleConnections()
	}
}

// Connect implements registry.NodeConnector.
func (n *connector) Connect(ctx context.Context, node string) (*url.URL, http.RoundTripper, error) {
	n.mu.Lock()
	a := n.local[node]
	n.mu.Unlock()
	if a != nil {
		return &url.URL{Scheme: "http", Host: node}, a.transport, nil
	}
	core, err := coreclient.NewForConfig(n.cluster.server.RESTConfig())
	if err != nil {
		return nil, nil, apierrors.NewInternalError(err)
	}
	obj, err := core.Nodes().Get(ctx, node, metav1.GetOptions{})
	if err != nil {
		return nil, nil, err
	}
	port := obj.Status.DaemonEndpoints.KubeletEndpoint.Port
	address := agentAddress(obj)
	if port == 0 || address == "" {
		return nil, nil, apierrors.NewBadRequest(fmt.Sprintf("node %s serves no logs or streams here (a simulated node has none, one in a server's process has them at that server)", node))
	}
	transport, err := n.remoteTransport(node)
	if err != nil {
		return nil, nil, apierrors.NewInternalError(err)
	}
	return &url.URL{Scheme: "https", Host: net.JoinHostPort(address, fmt.Sprint(port))}, transport, nil
}

func agentAddress(node *corev1.Node) string {
	for _, a := range node.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			return a.Address
		}
	}
	return ""
}

func (n *connector) remoteTransport(node string) (*http.Transport, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if t := n.remote[node]; t != nil {
		return t, nil
	}
	client, err := n.clientCertificate()
	if err != nil {
		return nil, err
	}
	t := &http.Transport{IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second, TLSClientConfig: &tls.Config{
		Certificates: []tls.Certificate{*client}, RootCAs: n.cluster.pki.Pool(), ServerName: node,
		// The name alone is not enough: a node may have one that the server's own certificate is for.
		VerifyConnection: func(s tls.ConnectionState) error {
			if got, want := s.PeerCertificates[0].Subject.CommonName, "system:node:"+node; got != want {
				return fmt.Errorf("the certificate is for %q, not %q", got, want)
			}
			return nil
		},
	}}
	n.remote[node] = t
	return t, nil
}

func (n *connector) clientCertificate() (*tls.Certificate, error) {
	if n.client != nil {
		return n.client, nil
	}
	pair, err := n.cluster.pki.Certificate(pki.Request{Name: "apiserver-agent-client", User: "kube-apiserver-kubelet-client", Groups: []string{agentAPIGroup}}, n.cluster.options.clock.Now())
	if err != nil {
		return nil, err
	}
	cert, err := pair.TLS()
	if err != nil {
		return nil, fmt.Errorf("loading the certificate for agents: %w", err)
	}
	n.client = &cert
	return n.client, nil
}
