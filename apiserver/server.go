// Package apiserver is Coracle's Kubernetes API server: the generic server of
// k8s.io/apiserver over an etcd in the same process.
//
// A tour: registry/ defines the resources, dispatch/ routes requests to the stock handlers,
// storage/ and etcd/ keep the objects, auth/ and admission/ decide about requests,
// inprocess/ takes the calls of the other parts of the same process, openapi/ describes the
// API to clients, connections/ bounds what clients take of the file descriptors.
//
// The API of this package is not stable: see docs/api.md.
package apiserver

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/discovery"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/filters"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/client-go/rest"

	"github.com/coracle-k8s/coracle/apiserver/access"
	"github.com/coracle-k8s/coracle/apiserver/aggregator"
	"github.com/coracle-k8s/coracle/apiserver/audit"
	"github.com/coracle-k8s/coracle/apiserver/connections"
	"github.com/coracle-k8s/coracle/apiserver/customresources"
	"github.com/coracle-k8s/coracle/apiserver/dispatch"
	"github.com/coracle-k8s/coracle/apiserver/encryption"
	"github.com/coracle-k8s/coracle/apiserver/etcd"
	"github.com/coracle-k8s/coracle/apiserver/fairness"
	"github.com/coracle-k8s/coracle/apiserver/ondemand"
	"github.com/coracle-k8s/coracle/apiserver/openapi"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/services"
	"github.com/coracle-k8s/coracle/apiserver/storage"
	"github.com/coracle-k8s/coracle/apiserver/stores"
)

// Server is a running API server.
type Server struct {
	config     Config
	etcd       *etcd.Server
	getter     *storage.Getter
	dispatcher *dispatch.Dispatcher
	generic    *genericapiserver.GenericAPIServer
	frontend   *frontend
	// connections are those of the frontend.
	connections *connections.Pool
	access      *access.Access
	stores      *stores.Stores
	fairness    *fairness.Filter
	services    *services.Network
	docs        *openapi.Documents
	encryption  *encryption.Transformers // nil without
	audit       *audit.Log               // nil without
	custom      *customresources.Server
	aggregator  *aggregator.Server
	groups      *groups
	// changes are those of the set of served resources.
	changes ondemand.Changes
	health  health

	ctx     context.Context // ends with the server
	cancel  context.CancelFunc
	running sync.WaitGroup // custom resources and aggregation, which end with ctx
	// controlling are the parts of access control that run, and end with ctx.
	controlling sync.WaitGroup
	stopOnce    sync.Once
	serving     bool
	stopping    chan struct{} // closed by Stop
	done        chan struct{} // closed when the frontend has ended
	err         error         // why, to be read after done
}

// Start runs a server and returns when it answers. It runs until Stop; ctx
// bounds the start only.
func Start(ctx context.Context, c Config) (*Server, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	if err := nativeHistograms(); err != nil {
		return nil, err
	}
	s := &Server{config: c, done: make(chan struct{}), stopping: make(chan struct{}), docs: openapi.New(served(c.Resources)), stores: stores.New(), connections: connections.New(c.Connections, c.Clock, c.Report)}
	s.services = s.newServices()
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	started := make(chan error, 1)
	go func() {
		var err error
		s.etcd, err = etcd.Start(ctx, c.Etcd)
		started <- err
	}()
	generic := s.genericConfig()
	err := <-started
	if err == nil {
		err = s.build(generic)
	}
	if err != nil {
		s.closeListeners()
		s.Stop()
		return nil, err
	}
	s.run()
	if err := s.await(ctx, s.readyPath()); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// AwaitReady waits until /readyz passes with all its checks, of which some begin to
// pass after Start has returned: those of default roles, and those of Config.Checks.
// The error has the answer of the last attempt.
func (s *Server) AwaitReady(ctx context.Context) error { return s.await(ctx, "/readyz") }

// await asks for path until it answers OK. The library's start hooks run beside the
// server for a moment, and only health checks report their end.
func (s *Server) await(ctx context.Context, path string) error {
	again := time.NewTicker(500 * time.Microsecond)
	defer again.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://coracle.in-process"+path, nil)
		if err != nil {
			return fmt.Errorf("asking for readiness: %w", err)
		}
		response, err := s.config.Loopback.transport.RoundTrip(req)
		if err != nil {
			return fmt.Errorf("asking for readiness: %w", err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the API server to be ready: %w: %s", ctx.Err(), body)
		case <-again.C:
		}
	}
}

// served returns which built-in resources clients see, nil if those that are on by
// default.
func served(resources []*registry.Resource) func(schema.GroupVersionResource) bool {
	usual := true
	shown := map[schema.GroupVersionResource]bool{}
	for _, r := range resources {
		shown[r.GVR()] = !r.Hidden
		usual = usual && r.Stable() != r.Hidden
	}
	if usual {
		return nil
	}
	return func(gvr schema.GroupVersionResource) bool { return shown[gvr] }
}

// storedAs returns which resources of different groups are the same objects, so
// that a webhook or policy for one sees the others. The empty string is itself.
func storedAs(gr schema.GroupResource) string {
	if gr == (schema.GroupResource{Group: "events.k8s.io", Resource: "events"}) {
		return corev1.Resource("events").String()
	}
	return ""
}

func (s *Server) genericConfig() *genericapiserver.Config {
	c := genericapiserver.NewConfig(serializer.NewCodecFactory(s.config.Scheme))
	c.EffectiveVersion = newEffectiveVersion()
	c.ExternalAddress = s.externalAddress()
	c.GoawayChance, c.HSTSDirectives = s.config.Settings.HTTP2.GoawayChance, s.config.Settings.StrictTransportSecurity
	c.LivezGracePeriod = s.config.Settings.LivezGracePeriod.Duration
	c.LoopbackClientConfig = s.RESTConfig()
	c.SkipOpenAPIInstallation = true
	c.EnableProfiling, c.EnableMetrics = *s.config.Settings.Profiling, false
	c.RequestTimeout = s.config.Settings.RequestTimeout.Duration
	c.MaxRequestsInFlight, c.MaxMutatingRequestsInFlight = int(s.config.Settings.MaxRequestsInFlight), int(s.config.Settings.MaxMutatingRequestsInFlight)
	c.CorsAllowedOriginList = s.config.Settings.CORSAllowedOrigins
	c.EquivalentResourceRegistry = runtime.NewEquivalentResourceRegistryWithIdentity(storedAs)
	c.AggregatedDiscoveryGroupManager = aggregated.NewResourceManager("apis")
	c.LongRunningFunc = filters.BasicLongRunningRequestCheck(
		sets.NewString("watch", "proxy"), sets.NewString("attach", "exec", "proxy", "log", "portforward"))
	s.fairness = fairness.New(s.RESTConfig(), func(resource string) (apistorage.Stats, error) { return s.getter.Size(resource) })
	c.BuildHandlerChainFunc = func(h http.Handler, c *genericapiserver.Config) http.Handler {
		return outerChain(front{s, h}, c, s.fairness, s.config.Report)
	}
	// installHealth makes the health checks. Fairness counts requests itself, and
	// reads the sizes of lists from storages.
	c.HealthzChecks, c.LivezChecks, c.ReadyzChecks = nil, nil, nil
	c.DisabledPostStartHooks.Insert("max-in-flight-filter", "storage-object-count-tracker-hook")
	return c
}

// externalAddress returns the address that discovery gives clients to connect to.
func (s *Server) externalAddress() string {
	own := s.config.Listeners[0].Addr().String()
	host := s.config.Settings.ExternalHostname
	if host == "" {
		return own
	}
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	if _, port, err := net.SplitHostPort(own); err == nil {
		return net.JoinHostPort(host, port)
	}
	return host
}

// etcdPatience is how long etcd may take to answer before the server is unhealthy.
const etcdPatience = 2 * time.Second

func (s *Server) checkEtcd(r *http.Request) error { return s.askEtcd(r.Context()) }

func (s *Server) askEtcd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, etcdPatience)
	defer cancel()
	_, err := s.etcd.Client.Client.Get(ctx, storage.Prefix+"/health")
	return err
}

// build makes everything that answers requests; nothing runs yet.
func (s *Server) build(c *genericapiserver.Config) error {
	s.getter = storage.NewGetter(s.etcd.NewClient, s.config.Scheme, serializer.NewCodecFactory(s.config.Scheme), s.config.Report)
	s.getter.DeleteWorkers = int(s.config.Settings.DeleteCollectionWorkers)
	if err := s.openFiles(c); err != nil {
		return err
	}
	var err error
	if s.access, err = access.New(s.ctx, s.accessConfig()); err != nil {
		return err
	}
	c.Authentication.RequestHeaderConfig = s.access.RequestHeader
	c.Authentication.Authenticator, c.Authentication.APIAudiences = s.access.Authenticator, s.access.Audiences
	c.Authorization.Authorizer, c.RuleResolver = s.access.Authorizer, s.access.Rules
	c.AdmissionControl = s.access.Chain
	completed := c.Complete(nil)
	s.generic, err = completed.New("coracle", genericapiserver.NewEmptyDelegate())
	if err != nil {
		return fmt.Errorf("building the generic API server: %w", err)
	}
	s.groups = newGroups(s.generic.DiscoveryGroupManager, c.Serializer)
	s.generic.DiscoveryGroupManager = s.groups.from(builtIn)
	if err := s.buildCustom(c); err != nil {
		return err
	}
	if err := s.buildAggregator(); err != nil {
		return err
	}
	s.docs.AddSource(s.custom)
	s.docs.AddSource(s.aggregator)
	s.dispatcher, err = dispatch.New(dispatch.Config{
		Scheme: s.config.Scheme, Resources: s.config.Resources, Env: s.env(), Admission: s.access.Chain,
		TypeConverter: s.docs.TypeConverter(), Authorizer: s.access.Authorizer,
		Equivalents: s.generic.EquivalentResourceRegistry, MaxRequestBodyBytes: c.MaxRequestBodyBytes, MinRequestTimeout: s.config.Settings.MinRequestTimeout.Duration,
	})
	if err != nil {
		return err
	}
	s.stores.Use(s.dispatcher)
	if err := s.dispatcher.Install(s.generic, discovery.DefaultAddresses{DefaultAddress: c.ExternalAddress}, aggregator.BuiltIn); err != nil {
		return fmt.Errorf("installing the API: %w", err)
	}
	mux := s.generic.Handler.NonGoRestfulMux
	// Not the list of all paths that the library would answer with.
	mux.NotFoundHandler(http.NotFoundHandler())
	mux.HandlePrefix("/apis/", s.custom)
	s.docs.Install(mux)
	s.access.Discovery.Install(mux.Handle)
	s.installMetrics(mux)
	for path, h := range s.config.Extra {
		mux.Handle(path, h)
	}
	s.generic.PrepareRun()
	s.installHealth(mux, c.HealthzChecks)
	config, err := tlsConfig(s.config.Certificate, s.config.Settings)
	if err != nil {
		return err
	}
	s.frontend = &frontend{listeners: s.config.Listeners, connections: s.connections, tls: config, http2: s.config.Settings.HTTP2, handler: s.generic.Handler}
	s.config.Loopback.transport.Serve(innerChain(front{s, s.generic.Handler.Director}, c, s.config.Report))
	return nil
}

// openFiles reads the configuration files of encryption and audit.
func (s *Server) openFiles(c *genericapiserver.Config) error {
	var err error
	if e := s.config.Settings.Encryption; e.ConfigFile != "" {
		s.encryption, err = encryption.Open(s.ctx, encryption.Config{File: e.ConfigFile, Reload: e.Reload, ServerID: s.id(), Report: s.config.Report})
		if err != nil {
			return err
		}
		s.getter.Encrypt(s.encryption)
		c.AddHealthChecks(s.encryption.HealthChecks()...)
	}
	if s.config.Settings.Audit.PolicyFile == "" {
		return nil
	}
	if s.audit, err = audit.Open(s.config.Settings.Audit); err != nil {
		return err
	}
	c.AuditBackend, c.AuditPolicyRuleEvaluator = s.audit.Backend, s.audit.PolicyRuleEvaluator
	return s.audit.Start()
}

// id returns the label that distinguishes the servers of a process in metrics.
func (s *Server) id() string { return s.config.Listeners[0].Addr().String() }

func (s *Server) env() registry.Env {
	components := map[string]func(context.Context) error{"etcd-0": s.askEtcd}
	maps.Copy(components, s.config.Components)
	return registry.Env{
		Scheme: s.config.Scheme, RESTOptions: s.getter, Clock: s.config.Clock, Nodes: s.config.Nodes,
		Tokens: s.access.Tokens, Authenticator: s.access.Authenticator, APIAudiences: s.access.Audiences,
		Authorizer: s.access.Authorizer, Rules: s.access.Rules, Escalation: s.access.Escalation, Services: s.config.Services, Mapper: s.Mapper(), Components: components,
		Definitions: s.custom, APIServices: s.aggregator, EventTTL: s.config.Settings.EventTTL.Duration, RegisterMetrics: s.access.Metrics.MustRegister,
		MaxTokenExpiration: s.config.Settings.ServiceAccounts.MaxTokenExpiration.Duration, ExtendTokens: *s.config.Settings.ServiceAccounts.ExtendTokenExpiration,
	}
}

func (s *Server) run() {
	s.generic.RunPostStartHooks(s.ctx)
	s.runAccess()
	s.running.Go(func() { s.health.custom.during(func() { s.custom.Run(s.ctx) }) })
	s.running.Go(func() { s.health.aggregator.during(func() { s.aggregator.Run(s.ctx) }) })
	s.serving = true
	go func() {
		defer close(s.done)
		s.err = s.frontend.serve(s.ctx, s.etcd.Err())
	}()
}

func (s *Server) closeListeners() {
	for _, l := range s.config.Listeners {
		l.Close()
	}
}

// RESTConfig connects a client of this process: see Loopback.RESTConfig.
func (s *Server) RESTConfig() *rest.Config { return s.config.Loopback.RESTConfig() }

// Services returns the network by which the server calls Services. Calls before
// the server is built fail.
func (s *Server) Services() *services.Network { return s.services }

// Done is closed when the server has ended: by Stop, or by an error of a
// listener or of etcd, which Err returns.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err returns why the server ended by itself, nil if it did not. It may be called after Done.
func (s *Server) Err() error { return s.err }

// LegacyToken signs a token without an end, bound to a Secret, for the
// controller that fills such Secrets.
func (s *Server) LegacyToken(sa *corev1.ServiceAccount, secret *corev1.Secret) (string, error) {
	return s.access.Signer.IssueLegacy(sa.Namespace, *access.Ref(sa), secret.Name)
}
