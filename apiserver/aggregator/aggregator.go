package aggregator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apiserver/pkg/endpoints/discovery"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"

	statusmetrics "k8s.io/kube-aggregator/pkg/controllers/status/metrics"

	"github.com/coracle-k8s/coracle/apis/listwatch"
	"github.com/coracle-k8s/coracle/apiserver/ondemand"
	"github.com/coracle-k8s/coracle/apiserver/services"
)

// Config holds what a Server needs. All fields are required.
type Config struct {
	// Store keeps the APIServices; it is opened by Demand.
	Store func() (*genericregistry.Store, error)
	// WriteStatus stores the status of one.
	WriteStatus func(ctx context.Context, s *apiService) error
	// Watch follows a resource in the server's own storage.
	Watch func(schema.GroupResource) cache.ListerWatcher
	// Locals are the groups and versions that are served here; LocalsChanged is
	// closed when they change after the call.
	Locals        func() []Local
	LocalsChanged func() <-chan struct{}
	// Service and Endpoints read what an APIService refers to.
	Service   func(ctx context.Context, namespace, name string) (*corev1.Service, error)
	Endpoints func(ctx context.Context, namespace, service string) ([]*discoveryv1.EndpointSlice, error)
	// Network calls it, showing Certificate.
	Network     *services.Network
	Certificate tls.Certificate
	// Discovery and Groups announce what other servers have; Discovery is of the
	// source aggregated.AggregatorSource.
	Discovery aggregated.ResourceManager
	Groups    discovery.GroupManager
	Clock     clock.WithTicker
	// Changed is called, with no lock held, when Resources changed.
	Changed func()
	// Unavailable counts APIServices whose server is not available.
	Unavailable *statusmetrics.Metrics
	// Report is called with errors after which the work is tried again.
	Report func(error)
}

// Server aggregates. Make it with New.
type Server struct {
	config Config

	// locals is complete when the APIServices of what is served here are stored.
	locals  *ondemand.Work
	listed  chan struct{} // closed when all stored APIServices are known
	once    sync.Once     // for listed
	queue   workqueue.TypedRateLimitingInterface[string]
	running sync.WaitGroup
	// followed is closed when Services are to be followed.
	followed   chan struct{}
	followOnce sync.Once

	mu      sync.RWMutex
	byName  map[string]*apiService
	remotes map[string]*remote
	groups  map[string]bool // announced
	changes ondemand.Changes
}

// New makes a server; it does nothing before Run and Demand.
func New(c Config) *Server {
	return &Server{config: c, locals: ondemand.New(), listed: make(chan struct{}), followed: make(chan struct{}),
		byName: map[string]*apiService{}, remotes: map[string]*remote{}, groups: map[string]bool{}}
}

// Demand starts the server if it was not started yet, and does not wait.
func (s *Server) Demand() { s.locals.Demand() }

// Demanded reports whether it was started.
func (s *Server) Demanded() bool { return s.locals.IsDemanded() }

// Sync calls Demand, and returns when the APIServices of all that is served here are stored.
func (s *Server) Sync(ctx context.Context) error {
	if err := s.locals.Await(ctx); err != nil {
		return fmt.Errorf("waiting for the APIServices: %w", err)
	}
	return nil
}

// Ready fails while the APIServices of what is served here are wanted and not stored.
func (s *Server) Ready() error {
	if s.locals.Pending() {
		return errors.New("missing APIServices of what is served here")
	}
	return nil
}

// Settle returns when an APIService is known as of that resource version, or
// after a second.
func (s *Server) Settle(ctx context.Context, name, resourceVersion string) {
	s.changes.Wait(ctx, time.Second, func() bool {
		s.mu.RLock()
		defer s.mu.RUnlock()
		known := s.byName[name]
		if known == nil {
			return false
		}
		order, err := resourceversion.CompareResourceVersion(known.ResourceVersion, resourceVersion)
		return err == nil && order >= 0
	})
}

const (
	checkers           = 4
	minRetry, maxRetry = 5 * time.Millisecond, 30 * time.Second
	// checkAgain is the interval of checks of an available server, upstream's period.
	checkAgain = 30 * time.Second
)

// Run follows the APIServices, from Demand on until ctx is done.
func (s *Server) Run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-s.locals.Demanded():
	}
	// Stores want to know that there is no namespace.
	ctx = request.WithNamespace(ctx, metav1.NamespaceNone)
	s.queue = workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](minRetry, maxRetry))
	for range checkers {
		s.running.Go(func() { s.work(ctx) })
	}
	s.running.Go(func() { s.followLocals(ctx) })
	for _, resource := range []schema.GroupResource{corev1.Resource("services"), discoveryv1.Resource("endpointslices")} {
		s.running.Go(func() { s.followBackends(ctx, resource) })
	}
	lw := s.config.Watch(schema.GroupResource{Group: "apiregistration.k8s.io", Resource: "apiservices"})
	cache.NewReflectorWithOptions(listwatch.Listing(cache.ToListerWatcherWithContext(lw)), &apiService{}, &feed{s}, cache.ReflectorOptions{}).RunWithContext(ctx)
	s.queue.ShutDown()
	s.running.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.remotes {
		r.close()
	}
}

// followLocals stores the APIServices of what is served here.
func (s *Server) followLocals(ctx context.Context) {
	for {
		changed := s.config.LocalsChanged()
		var retry <-chan time.Time
		if err := s.writeLocals(ctx); err == nil {
			s.locals.Complete()
		} else if ctx.Err() == nil {
			s.config.Report(err)
			retry = s.config.Clock.After(time.Second)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-retry:
		}
	}
}

// followBackends asks again for servers whose Service or endpoints change.
func (s *Server) followBackends(ctx context.Context, resource schema.GroupResource) {
	select {
	case <-ctx.Done():
		return
	case <-s.followed:
	}
	cache.NewReflectorWithOptions(listwatch.Listing(cache.ToListerWatcherWithContext(s.config.Watch(resource))), nil, backends{s}, cache.ReflectorOptions{}).RunWithContext(ctx)
}

// backendChanged looks again at the APIServices of a Service.
func (s *Server) backendChanged(namespace, name string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for key, r := range s.remotes {
		if r.ref.Namespace == namespace && r.ref.Name == name {
			s.queue.Add(key)
		}
	}
}

// set takes the APIServices of a list or a watch event.
func (s *Server) set(all bool, list ...*apiService) {
	s.mu.Lock()
	if all {
		present := map[string]bool{}
		for _, a := range list {
			present[a.Name] = true
		}
		for name := range s.byName {
			if !present[name] {
				s.drop(name)
			}
		}
		s.once.Do(func() { close(s.listed) })
	}
	for _, a := range list {
		s.byName[a.Name] = a
		s.route(a)
	}
	s.announce()
	s.changes.Announce()
	s.mu.Unlock()
	s.config.Changed()
}

func (s *Server) unset(name string) {
	s.mu.Lock()
	s.drop(name)
	s.announce()
	s.changes.Announce()
	s.mu.Unlock()
	s.config.Changed()
}

// drop forgets an APIService. mu is held.
func (s *Server) drop(name string) {
	delete(s.byName, name)
	s.config.Unavailable.ForgetAPIService(name)
	if r := s.remotes[name]; r != nil {
		s.config.Discovery.RemoveGroupVersion(metav1.GroupVersion{Group: r.gv.Group, Version: r.gv.Version})
		r.close()
		delete(s.remotes, name)
	}
}

// route makes or changes what passes requests on. mu is held.
func (s *Server) route(a *apiService) {
	r := s.remotes[a.Name]
	if a.Spec.Service == nil {
		if r != nil {
			s.drop(a.Name)
			s.byName[a.Name] = a
		}
		s.config.Unavailable.SetAPIServiceAvailable(a.Name)
		return
	}
	if r != nil && equality.Semantic.DeepEqual(r.spec, a.Spec) {
		r.available.Store(available(a))
		return
	}
	next := newRemote(s.config, a)
	if r != nil {
		next.resources.Store(r.resources.Load())
		r.close()
	}
	s.remotes[a.Name] = next
	s.followOnce.Do(func() { close(s.followed) })
	s.queue.Add(a.Name)
}

// announce lists the groups of other servers. mu is held.
func (s *Server) announce() {
	groups := map[string]bool{}
	for _, r := range s.remotes {
		groups[r.gv.Group] = true
	}
	for group := range s.groups {
		if !groups[group] {
			s.config.Groups.RemoveGroup(group)
		}
	}
	for group := range groups {
		s.config.Groups.AddGroup(s.group(group))
	}
	s.groups = groups
}

// group returns the discovery of a group, of all APIServices that have it. mu is held.
func (s *Server) group(name string) metav1.APIGroup {
	var versions []*apiService
	for _, a := range s.byName {
		if a.Spec.Group == name {
			versions = append(versions, a)
		}
	}
	slices.SortFunc(versions, func(a, b *apiService) int {
		if a.Spec.VersionPriority != b.Spec.VersionPriority {
			return int(b.Spec.VersionPriority - a.Spec.VersionPriority)
		}
		return strings.Compare(a.Spec.Version, b.Spec.Version)
	})
	group := metav1.APIGroup{Name: name}
	for _, a := range versions {
		group.Versions = append(group.Versions, metav1.GroupVersionForDiscovery{GroupVersion: name + "/" + a.Spec.Version, Version: a.Spec.Version})
	}
	if len(group.Versions) > 0 {
		group.PreferredVersion = group.Versions[0]
	}
	return group
}

// writeLocals stores and removes APIServices of what is served here.
func (s *Server) writeLocals(ctx context.Context) error {
	store, err := s.config.Store()
	if err != nil {
		return err
	}
	have, err := listAll(ctx, store)
	if err != nil {
		return err
	}
	create, remove := planLocal(s.config.Locals(), have, metav1.NewTime(s.config.Clock.Now()))
	var errs []error
	for _, a := range create {
		if err := createWithStatus(ctx, store, a); err != nil && !apierrors.IsAlreadyExists(err) {
			errs = append(errs, fmt.Errorf("registering APIService %s: %w", a.Name, err))
		}
	}
	for _, name := range remove {
		if _, _, err := store.Delete(ctx, name, rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("removing APIService %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// work checks servers until the queue is shut down.
func (s *Server) work(ctx context.Context) {
	for {
		name, shutdown := s.queue.Get()
		if shutdown {
			return
		}
		s.mu.RLock()
		r, a := s.remotes[name], s.byName[name]
		s.mu.RUnlock()
		if r != nil && a != nil {
			if err := s.check(ctx, r, a); err != nil && ctx.Err() == nil {
				s.queue.AddRateLimited(name)
			} else {
				s.queue.Forget(name)
				s.queue.AddAfter(name, checkAgain)
			}
		}
		s.queue.Done(name)
	}
}

// Resource is a resource of another server.
type Resource struct {
	GroupVersion schema.GroupVersion
	metav1.APIResource
}

// Resources returns those of other servers that answer. unknown are the groups
// of servers that do not: their resources cannot be listed.
func (s *Server) Resources() (list []Resource, unknown []schema.GroupVersion) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, name := range slices.Sorted(maps.Keys(s.remotes)) {
		r := s.remotes[name]
		if !r.available.Load() {
			unknown = append(unknown, r.gv)
		}
		if known := r.resources.Load(); known != nil {
			for _, resource := range *known {
				if !strings.Contains(resource.Name, "/") {
					list = append(list, Resource{r.gv, resource})
				}
			}
		}
	}
	return list, unknown
}
