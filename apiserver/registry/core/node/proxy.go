package node

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/coracle-k8s/coracle/apiserver/egress"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/connect"
)

// proxyStorage passes requests on to the node's agent, or to another port of
// the node when the name is [scheme:]name:port. The connector finds the agent;
// for other ports the node's address is the one that the node wrote.
type proxyStorage struct {
	nodes     registry.NodeConnector
	store     *genericregistry.Store
	transport http.RoundTripper
}

// New implements rest.Storage.
func (p *proxyStorage) New() runtime.Object { return &corev1.NodeProxyOptions{} }

// Destroy implements rest.Storage.
func (p *proxyStorage) Destroy() {}

// ConnectMethods implements rest.Connecter.
func (p *proxyStorage) ConnectMethods() []string { return connect.Methods() }

// NewConnectOptions implements rest.Connecter.
func (p *proxyStorage) NewConnectOptions() (runtime.Object, bool, string) {
	return &corev1.NodeProxyOptions{}, true, "path"
}

// Connect implements rest.Connecter.
func (p *proxyStorage) Connect(ctx context.Context, id string, options runtime.Object, responder rest.Responder) (http.Handler, error) {
	scheme, name, port, valid := utilnet.SplitSchemeNamePort(id)
	if !valid {
		return nil, apierrors.NewBadRequest("invalid node request " + strconv.Quote(id))
	}
	o, ok := options.(*corev1.NodeProxyOptions)
	if !ok {
		return nil, apierrors.NewBadRequest("invalid options object")
	}
	obj, err := p.store.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	node := obj.(*corev1.Node)
	if port == "" || port == agentPort(node) {
		base, transport, err := connect.Agent(ctx, p.nodes, name)
		if err != nil {
			return nil, err
		}
		return connect.Proxy(at(base, o.Path), transport, responder), nil
	}
	host := address(node, corev1.NodeInternalIP)
	if host == registry.None {
		return nil, apierrors.NewServiceUnavailable("node " + name + " has no address")
	}
	if err := egress.CheckHost(ctx, host); err != nil {
		return nil, err
	}
	return connect.Proxy(at(&url.URL{Scheme: scheme, Host: net.JoinHostPort(host, port)}, o.Path), p.transport, responder), nil
}

// defaultAgentPort is the kubelet's, see
// https://kubernetes.io/docs/reference/networking/ports-and-protocols/#node.
const defaultAgentPort = "10250"

// agentPort returns the port at which clients expect the node's agent. An agent
// in the server's own process has none, and is asked for at the usual one.
func agentPort(node *corev1.Node) string {
	if port := node.Status.DaemonEndpoints.KubeletEndpoint.Port; port != 0 {
		return strconv.Itoa(int(port))
	}
	return defaultAgentPort
}

func at(base *url.URL, path string) *url.URL {
	location := *base
	location.Path = utilnet.JoinPreservingTrailingSlash(base.Path, path)
	return &location
}
