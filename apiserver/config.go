package apiserver

import (
	"context"
	"crypto"
	"crypto/tls"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/utils/clock"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/apiserver/connections"
	"github.com/coracle-k8s/coracle/apiserver/etcd"
	"github.com/coracle-k8s/coracle/apiserver/pki"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// Config is everything a server depends on. All fields without a default are
// required.
type Config struct {
	// Etcd configures where and how objects are stored.
	Etcd etcd.Config
	// Scheme holds wire and hub types of every resource; see apis.NewScheme.
	Scheme *runtime.Scheme
	// Resources to serve, in the order discovery shows them.
	Resources []*registry.Resource
	// Listeners take HTTPS connections, one at least; the first one's address
	// is the server's. The server closes them.
	Listeners []net.Listener
	// Certificate is the server's own; Authority signs client certificates and verifies them.
	Certificate tls.Certificate
	Authority   *pki.Authority
	// ServiceAccountKey signs service account tokens, RSA or ECDSA.
	ServiceAccountKey crypto.Signer
	// ServiceAccountKeys check tokens besides the public part of ServiceAccountKey.
	ServiceAccountKeys []crypto.PublicKey
	// Issuer of service account tokens; default https://kubernetes.default.svc.cluster.local.
	Issuer string
	// Tokens are bearer tokens of known users, such as the one agents join with.
	Tokens map[string]*user.DefaultInfo
	// Proxy is the client certificate for aggregated API servers, which trust the
	// user names that it passes on. Without it the server shows them none.
	Proxy tls.Certificate
	// Loopback connects clients of this process to the server. Default: a new one.
	Loopback *Loopback
	// Nodes reaches the agents for logs, exec and the like.
	Nodes registry.NodeConnector
	// Services is the Service network.
	Services registry.ServiceNetwork
	// Components are checks of other parts of the control plane for ComponentStatuses;
	// each returns what is wrong with its part. The server checks etcd itself.
	Components map[string]func(context.Context) error
	// UncheckedPolicies leaves the status of validating policies alone: as with
	// upstream's kube-apiserver, which runs no controllers.
	UncheckedPolicies bool
	// Checks are of what upstream's server runs and here the cluster around it, by
	// the names of upstream's hooks, for /healthz, /livez and /readyz.
	Checks map[string]func() error
	// Extra handlers by path, behind authentication and authorization.
	Extra map[string]http.Handler
	// Settings are the API server's part of a cluster's configuration. They are
	// defaulted, not validated.
	Settings v1alpha1.APIServer
	// Report is called with errors outside requests, such as a changed file
	// that is not taken. Default: errors are dropped.
	Report func(error)
	// Metrics are answered at /metrics besides the server's own.
	Metrics []prometheus.Gatherer
	// Connections bound what clients take of the process's file descriptors.
	// Default: connections.ProcessLimits.
	Connections connections.Limits
	// Clock defaults to the real one.
	Clock clock.WithTicker
}

// DefaultIssuer is the default issuer of service account tokens.
const DefaultIssuer = "https://kubernetes.default.svc.cluster.local"

// complete fills defaults in.
func (c *Config) complete() error {
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	if c.Loopback == nil {
		c.Loopback = NewLoopback()
	}
	if c.Issuer == "" {
		c.Issuer = DefaultIssuer
	}
	if c.Report == nil {
		c.Report = func(error) {}
	}
	c.Settings.Default()
	if c.Connections == (connections.Limits{}) {
		var err error
		c.Connections, err = connections.ProcessLimits()
		return err
	}
	return nil
}
