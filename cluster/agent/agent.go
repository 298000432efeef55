package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/connrotation"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/apiserver/connections"
	"github.com/coracle-k8s/coracle/cluster/host"
	"github.com/coracle-k8s/coracle/cluster/informers"
	"github.com/coracle-k8s/coracle/cluster/joins"
	"github.com/coracle-k8s/coracle/cluster/jointoken"
	"github.com/coracle-k8s/coracle/cluster/node"
)

// Options holds what a configuration cannot express. Zero values are good.
type Options struct {
	// Progress is called with each step of the start, a short phrase. Default: no calls.
	Progress func(step string)
	// Clock measures. Default: the real clock.
	Clock clock.WithTicker
	// Logger takes what goes wrong. Default: nothing is logged.
	Logger logr.Logger
}

func (o Options) complete() Options {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	return o
}

// Config holds what a node that is a process of its own needs.
type Config struct {
	// Server is the API server's URL.
	Server string
	// Token is the output of coracle token create (jointoken.Join): the hash of the
	// cluster's authority, which authenticates the server to the agent, and a bootstrap
	// token, which authenticates the agent to the server until it has a certificate. It
	// may be empty when DataDir has the certificate from an earlier run.
	Token string
	// DataDir is for the agent alone. Default: DefaultDir.
	DataDir string
	// Listen is the address of the agent's API (logs, exec and the like) for
	// the server. Default: the node's address, on a port that the kernel picks.
	Listen string
	// Node is the node; its address defaults to the one from which this machine
	// reaches the server.
	Node v1alpha1.Node
	// MTU of pod interfaces in bytes; 0 takes the default route's.
	MTU int32
}

// DefaultDir returns the default of Config.DataDir: beside a server's
// directory, not in it.
func DefaultDir() string { return v1alpha1.DefaultDataDir() + "-agent" }

// complete fills defaults in and returns an error for what is wrong.
func (c Config) complete() (Config, error) {
	server, err := url.Parse(c.Server)
	if err != nil || server.Scheme != "https" || server.Hostname() == "" {
		return c, fmt.Errorf("server %q is not a URL such as https://10.0.0.1:6443", c.Server)
	}
	if c.Token != "" {
		if _, _, err := jointoken.Parse(c.Token); err != nil {
			return c, err
		}
	}
	defaults := v1alpha1.Cluster{DataDir: c.DataDir, Node: c.Node}
	if c.DataDir == "" {
		defaults.DataDir = DefaultDir()
	}
	defaults.Default()
	if errs := defaults.Validate(); len(errs) > 0 {
		return c, fmt.Errorf("checking the configuration: %w", errs.ToAggregate())
	}
	c.DataDir, c.Node = defaults.DataDir, defaults.Node
	if c.Node.Name, err = host.NodeName(c.Node.Name); err != nil {
		return c, err
	}
	if c.Token == "" {
		if kept, err := readAgentIdentity(c.DataDir); err != nil || kept == nil || kept.cert == nil {
			return c, errors.Join(err, errors.New("an agent that has not joined yet needs a token: make one with coracle token create, where the server runs"))
		}
	}
	if c.Node.Address == "" {
		if c.Node.Address = host.AddressTowards(server.Hostname()); c.Node.Address == "" {
			return c, errors.New("this machine has no address but loopback: name one with --node-address")
		}
	}
	if net.ParseIP(c.Node.Address) == nil {
		return c, fmt.Errorf("node address %q is not an IP address", c.Node.Address)
	}
	if c.Listen == "" {
		c.Listen = net.JoinHostPort(c.Node.Address, "0")
	}
	return c, nil
}

// Remote is the connection of an agent to its server. The certificate in it
// may be replaced while it is in use.
type Remote struct {
	client, serving atomic.Pointer[tls.Certificate]
	Dialer          *connrotation.Dialer
	Config          *rest.Config
}

// NewRemote returns the connection of a member to its server.
func NewRemote(server string, m *Membership) *Remote {
	r := &Remote{Dialer: connrotation.NewDialer((&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext)}
	r.client.Store(&m.Client)
	r.serving.Store(&m.Serving)
	r.Config = &rest.Config{
		Host: server, QPS: -1, UserAgent: "coracle-agent",
		ContentConfig: rest.ContentConfig{
			ContentType:        runtime.ContentTypeProtobuf,
			AcceptContentTypes: runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON,
		},
		Transport: &http.Transport{
			DialContext: r.Dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 90 * time.Second,
			// A server that vanished without a word is noticed within this time.
			HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
			TLSClientConfig: &tls.Config{RootCAs: m.Authority, MinVersion: tls.VersionTLS12, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				return r.client.Load(), nil
			}},
		},
	}
	return r
}

// Replace takes new certificates; connections with the old ones are closed.
func (r *Remote) Replace(m *Membership) {
	r.client.Store(&m.Client)
	r.serving.Store(&m.Serving)
	r.Dialer.CloseAll()
}

// manager returns a manager with a cache of what a node may see: its own pods,
// their certificate requests and its own object, Services and EndpointSlices,
// trust bundles. ctx ends it.
func (r *Remote) manager(ctx context.Context, name string, o Options) (manager.Manager, error) {
	grace := node.StopTimeout
	mgr, err := manager.New(r.Config, manager.Options{
		Scheme:   apis.NewClientScheme(),
		NewCache: informers.UntilStopped(ctx, cache.New),
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			ByObject: map[client.Object]cache.ByObject{
				&corev1.Pod{}:                           {Field: fields.OneTermEqualSelector("spec.nodeName", name)},
				&corev1.Node{}:                          {Field: fields.OneTermEqualSelector("metadata.name", name)},
				&certificatesv1.PodCertificateRequest{}: {Field: fields.OneTermEqualSelector("spec.nodeName", name)},
			},
		},
		// A node may read these by name only.
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{
			&resourcev1.ResourceClaim{}, &nodev1.RuntimeClass{},
			&corev1.Secret{}, &corev1.ConfigMap{}, &corev1.ServiceAccount{}, &corev1.PersistentVolume{}, &corev1.PersistentVolumeClaim{}}}},
		Logger:                  o.Logger,
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress:  "0",
		GracefulShutdownTimeout: &grace,
	})
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	return mgr, nil
}

// API serves an agent's API to the API server alone: clients show a
// certificate of the cluster with the group for it.
type API struct {
	Listener net.Listener
	Remote   *Remote
	// Clients has the authority of certificates that clients show.
	Clients *Membership
	// Connections are those of Listener.
	Connections *connections.Pool
	handler     atomic.Pointer[http.Handler]
}

// Set takes the handler of the node's API. Until then requests are answered 503.
func (a *API) Set(_ string, h http.Handler) { a.handler.Store(&h) }

// Port returns the port of the listener.
func (a *API) Port() int32 { return int32(a.Listener.Addr().(*net.TCPAddr).Port) }

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := a.handler.Load()
	switch {
	case r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || !slices.Contains(r.TLS.PeerCertificates[0].Subject.Organization, joins.APIClients):
		http.Error(w, "only the API server may use this", http.StatusForbidden)
	case h == nil:
		http.Error(w, "the node is starting", http.StatusServiceUnavailable)
	default:
		connections.Authenticated(r.Context())
		(*h).ServeHTTP(w, r)
	}
}

// Start serves until ctx is done: a manager.Runnable.
func (a *API) Start(ctx context.Context) error {
	server := &http.Server{
		Handler: a, ReadHeaderTimeout: 32 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
		// Streams upgrade their connection, which HTTP/2 cannot.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.Clients.Authority,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.Remote.serving.Load(), nil },
		},
	}
	connections.Attach(server)
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.ServeTLS(a.Connections.Listener(a.Listener), "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the node's API on %s: %w", a.Listener.Addr(), err)
	}
	return nil
}

// renewal joins again before the certificates expire.
type renewal struct {
	joiner  *Joiner
	remote  *Remote
	expires time.Time
	options Options
}

// renewRetry is the time between attempts when the server does not answer.
const renewRetry = time.Minute

// Start renews until ctx is done: a manager.Runnable.
func (r *renewal) Start(ctx context.Context) error {
	wait := time.Duration(0)
	for {
		timer := r.options.Clock.NewTimer(max(renewIn(r.options.Clock.Now(), r.expires), wait))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C():
		}
		m, err := r.joiner.Join(ctx)
		if wait = soonest(err); err != nil {
			r.options.Logger.Error(err, "Renewing the node's certificates")
			continue
		}
		r.remote.Replace(m)
		r.expires = m.expires
	}
}

// renewIn returns the time to the next attempt: to two thirds of what is left,
// as long as that is much.
func renewIn(now, expires time.Time) time.Duration {
	if left := expires.Sub(now); left > 3*renewRetry {
		return left * 2 / 3
	}
	return renewRetry
}
