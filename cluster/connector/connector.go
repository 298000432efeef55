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
	certutil "k8s.io/client-go/util/cert"

	"github.com/coracle-k8s/coracle/apiserver/egress"
	"github.com/coracle-k8s/coracle/apiserver/pki"
	"github.com/coracle-k8s/coracle/cluster/joins"
)

// connector reaches agents: those of this process through memory, others by
// TLS at the address and port their node reports, with a certificate for the node's
// name of the authority that signs those of agents and nothing else.
type connector struct {
	cluster *Cluster

	mu    sync.Mutex
	local map[string]*localAgent
	// added is closed, and made again, when an agent is added.
	added  chan struct{}
	remote *http.Transport
}

// localAgent serves an agent's API to this process.
type localAgent struct {
	listener  *bufconn.Listener
	server    *http.Server
	transport *http.Transport
	done      chan struct{}
}

func newConnector(c *Cluster) *connector {
	return &connector{cluster: c, added: make(chan struct{}), local: map[string]*localAgent{}}
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
		// Serve returns when close closes the listener; that error needs no report.
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
	if n.remote != nil {
		n.remote.CloseIdleConnections()
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
	address, port, err := n.locate(ctx, node)
	if err != nil {
		return nil, nil, err
	}
	transport, err := n.remoteTransport()
	if err != nil {
		return nil, nil, apierrors.NewInternalError(err)
	}
	if n.cluster.config.APIServer.Kubelet.CAFile != "" {
		// Others' authorities sign for addresses.
		return &url.URL{Scheme: "https", Host: net.JoinHostPort(address, fmt.Sprint(port))}, transport, nil
	}
	// By its name, which the certificate of no other agent has: an agent that takes
	// over another one's address gets nothing of what is meant for that.
	return &url.URL{Scheme: "https", Host: net.JoinHostPort(node, fmt.Sprint(port))}, transport, nil
}

// locate returns where the node's agent serves.
func (n *connector) locate(ctx context.Context, node string) (address string, port int32, err error) {
	core, err := coreclient.NewForConfig(n.cluster.server.RESTConfig())
	if err != nil {
		return "", 0, apierrors.NewInternalError(err)
	}
	obj, err := core.Nodes().Get(ctx, node, metav1.GetOptions{})
	if err != nil {
		return "", 0, err
	}
	port, address = obj.Status.DaemonEndpoints.KubeletEndpoint.Port, agentAddress(obj, n.cluster.config.APIServer.Kubelet.PreferredAddressTypes)
	if port == 0 || address == "" {
		return "", 0, apierrors.NewBadRequest(fmt.Sprintf("node %s serves no logs or streams here (a simulated node has none, one in a server's process has them at that server)", node))
	}
	return address, port, nil
}

// dial connects to NODE:PORT.
func (n *connector) dial(ctx context.Context, network, to string) (net.Conn, error) {
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

func (n *connector) remoteTransport() (*http.Transport, error) {
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
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, RootCAs: n.cluster.nodeCA.Pool()}}
	if file := n.cluster.config.APIServer.Kubelet.CAFile; file != "" {
		if remote.TLSClientConfig.RootCAs, err = certutil.NewPool(file); err != nil {
			return nil, fmt.Errorf("reading the authorities of agents: %w", err)
		}
		remote.DialContext = egress.Dial // the certificate does not bind the node
	}
	n.remote = remote
	return n.remote, nil
}

// certificate returns the client certificate for agents of other processes: the
// configured one, or one of the cluster's authority.
func (n *connector) certificate() (tls.Certificate, error) {
	if files := n.cluster.config.APIServer.Kubelet; files.CertFile != "" {
		return tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	}
	pair, err := n.cluster.pki.Certificate(pki.Request{Name: "apiserver-agent-client", User: "kube-apiserver-kubelet-client", Groups: []string{joins.APIClients}}, n.cluster.options.clock.Now())
	if err != nil {
		return tls.Certificate{}, err
	}
	return pair.TLS()
}
