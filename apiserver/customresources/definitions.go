package customresources

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/conversion"
	apiextensionsclient "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/discovery"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"

	"github.com/coracle-k8s/coracle/apiserver/customresources/codec"
	"github.com/coracle-k8s/coracle/apiserver/ondemand"
	"github.com/coracle-k8s/coracle/apiserver/services"
)

// Config holds what a Server needs. All fields are required.
type Config struct {
	// RESTOptions opens storages of unstructured objects.
	RESTOptions generic.RESTOptionsGetter
	// Stored counts the objects that are kept of a resource.
	Stored func(context.Context, schema.GroupResource) (int64, error)
	// Definitions reads and writes CustomResourceDefinitions.
	Definitions         apiextensionsclient.CustomResourceDefinitionsGetter
	Admission           admission.Interface
	Authorizer          authorizer.Authorizer
	MaxRequestBodyBytes int64
	// MinRequestTimeout is the shortest time a watch is kept.
	MinRequestTimeout time.Duration
	// Services reaches conversion webhooks.
	Services *services.Network
	// Discovery and Groups announce what is served; Discovery is of the source
	// aggregated.CRDSource.
	Discovery aggregated.ResourceManager
	Groups    discovery.GroupManager
	Clock     clock.Clock
	// Changed is called, with no lock held, after what Resources returns changed.
	Changed func()
}

// Server serves custom resources. Make it with New.
type Server struct {
	config     Config
	scheme     *runtime.Scheme
	codecs     serializer.CodecFactory
	converters *conversion.CRConverterFactory

	// stored is complete when every stored definition is served.
	stored  *ondemand.Work
	queue   workqueue.TypedRateLimitingInterface[string]
	running sync.WaitGroup

	mu      sync.RWMutex
	stopped bool
	byName  map[string]*definition
	// announced are the versions of each group that discovery shows.
	announced map[string][]string
	changes   ondemand.Changes
}

// definition holds what is known of one CustomResourceDefinition. Requests read
// it without a lock: it is replaced, not changed.
type definition struct {
	// crd has the status that is to be written, if unwritten is set.
	crd       *definitionCRD
	unwritten bool
	// serving is nil while the names are not accepted.
	serving *serving
	// used is set if there are objects, or have been.
	used bool
}

var errStopped = errors.New("the API server has stopped")

// New makes a server; it does nothing before Run and Demand.
func New(c Config) (*Server, error) {
	converters, err := conversion.NewCRConverterFactory(c.Services, c.Services.Wrap)
	if err != nil {
		return nil, fmt.Errorf("making the converters of custom resources: %w", err)
	}
	scheme := codec.NewScheme()
	return &Server{
		config: c, scheme: scheme, codecs: serializer.NewCodecFactory(scheme), converters: converters,
		stored: ondemand.New(),
		byName: map[string]*definition{}, announced: map[string][]string{},
	}, nil
}

// Demand starts the machinery if it was not started yet, and does not wait.
// Before that the server has no definitions.
func (s *Server) Demand() { s.stored.Demand() }

// Sync calls Demand, and returns when every stored definition is served.
func (s *Server) Sync(ctx context.Context) error {
	if err := s.stored.Await(ctx); err != nil {
		return fmt.Errorf("reading the definitions of custom resources: %w", err)
	}
	return nil
}

// Demanded reports whether the machinery was started.
func (s *Server) Demanded() bool { return s.stored.IsDemanded() }

// Ready reports whether no stored definitions are being read.
func (s *Server) Ready() bool { return !s.stored.Pending() }

// wait waits for the stored definitions, if any were demanded, and reports
// whether they are known.
func (s *Server) wait(ctx context.Context) bool {
	return !s.Demanded() || s.Sync(ctx) == nil
}

// Run follows the definitions, from Demand on until ctx is done, and leaves
// nothing behind.
func (s *Server) Run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-s.stored.Demanded():
	}
	s.queue = workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](minRetry, maxRetry))
	for range writers {
		s.running.Go(func() { s.work(ctx) })
	}
	s.follow(ctx)
	s.queue.ShutDown()
	s.mu.Lock()
	s.stopped = true
	all := s.byName
	s.byName = map[string]*definition{}
	s.mu.Unlock()
	s.running.Wait()
	for _, d := range all {
		if d.serving != nil {
			d.serving.close()
		}
	}
}

const (
	// writers is how many definitions have their status written side by side.
	writers            = 4
	minRetry, maxRetry = 5 * time.Millisecond, 30 * time.Second
)

// settleLimit is how long a write of a definition may wait for its effect.
const settleLimit = time.Second

// Settle returns when the definition is served as of that resource version, so
// that its writer finds the effect, or after a second.
func (s *Server) Settle(ctx context.Context, name, resourceVersion string) {
	s.changes.Wait(ctx, settleLimit, func() bool {
		s.mu.RLock()
		defer s.mu.RUnlock()
		d := s.byName[name]
		return d != nil && !newer(resourceVersion, d.crd.ResourceVersion)
	})
}

// newer compares resource versions of one server.
func newer(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err != nil || order > 0
}

// lookup finds the definition that serves a resource, nil if none does.
func (s *Server) lookup(gr schema.GroupResource) *definition {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if d := s.byName[gr.String()]; d != nil && d.serving != nil {
		return d
	}
	return nil
}

// take records definitions from a list, a watch or a write. A write of a
// definition that has been deleted since is ignored.
func (s *Server) take(written bool, crds ...*definitionCRD) {
	fresh := make([]bool, len(crds))
	for i, crd := range crds {
		fresh[i] = s.anyStored(crd)
	}
	s.mu.Lock()
	groups := map[string]bool{}
	for i, crd := range crds {
		old := s.byName[crd.Name]
		if s.stopped || old == nil && written || old != nil && old.crd.UID == crd.UID && !newer(crd.ResourceVersion, old.crd.ResourceVersion) {
			continue
		}
		s.install(crd, fresh[i])
		groups[crd.Spec.Group] = true
	}
	s.settle(groups)
}

// settle announces the groups that changed and lets go of the lock.
func (s *Server) settle(groups map[string]bool) {
	for group := range groups {
		s.reconsider(group)
		s.announce(group)
	}
	s.changes.Announce()
	s.mu.Unlock()
	if len(groups) > 0 {
		s.config.Changed()
	}
}

// anyStored reports whether a definition that is new has objects already.
func (s *Server) anyStored(crd *definitionCRD) bool {
	s.mu.RLock()
	old := s.byName[crd.Name]
	s.mu.RUnlock()
	if old != nil {
		return old.used
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleLimit)
	defer cancel()
	n, err := s.config.Stored(ctx, schema.GroupResource{Group: crd.Spec.Group, Resource: crd.Spec.Names.Plural})
	return err != nil || n > 0 // what is not known is looked at
}

// install makes crd known, and served if its names are accepted. mu is held.
func (s *Server) install(stored *definitionCRD, used bool) {
	old := s.byName[stored.Name]
	crd := *stored
	crd.Status = planStatus(stored, s.others(stored), metav1.NewTime(s.config.Clock.Now()))
	d := &definition{crd: &crd, used: used, unwritten: !equality.Semantic.DeepEqual(crd.Status, stored.Status)}
	if old != nil && old.crd.UID == crd.UID && old.crd.Generation == crd.Generation {
		crd.Spec = old.crd.Spec // one copy for all that refer to it
	}
	if served(&crd) {
		if old != nil && old.serving != nil && sameServing(&crd, old.serving.crd) {
			d.serving = old.serving
		} else {
			d.serving = newServing(s, &crd)
		}
	}
	s.byName[crd.Name] = d
	if old != nil && old.serving != nil && old.serving != d.serving {
		s.retire(old.serving)
	}
	if d.unwritten || finalizing(&crd) {
		s.queue.Add(crd.Name)
	}
}

func served(crd *definitionCRD) bool {
	return apihelpers.IsCRDConditionTrue(crd, apiextensionsv1.NamesAccepted) || apihelpers.IsCRDConditionTrue(crd, apiextensionsv1.Established)
}

func sameServing(a, b *definitionCRD) bool {
	return a.UID == b.UID && a.Generation == b.Generation && equality.Semantic.DeepEqual(a.Status.AcceptedNames, b.Status.AcceptedNames)
}

// retire ends a serving when its requests have ended. mu is held.
func (s *Server) retire(old *serving) {
	s.running.Go(old.retire)
}

// others returns the definitions of the same group.
func (s *Server) others(crd *definitionCRD) []*definitionCRD {
	var list []*definitionCRD
	for name, d := range s.byName {
		if name != crd.Name && d.crd.Spec.Group == crd.Spec.Group {
			list = append(list, d.crd)
		}
	}
	return list
}

// reconsider plans those of a group again that were refused a name. mu is held.
func (s *Server) reconsider(group string) {
	var names []string
	for name, d := range s.byName {
		if d.crd.Spec.Group == group && apihelpers.IsCRDConditionFalse(d.crd, apiextensionsv1.NamesAccepted) {
			names = append(names, name)
		}
	}
	slices.Sort(names) // the order of a map must not decide which comes first
	for _, name := range names {
		d := s.byName[name]
		crd := *d.crd
		s.install(&crd, d.used)
		s.byName[name].unwritten = s.byName[name].unwritten || d.unwritten
	}
}

// forget drops a definition that is gone.
func (s *Server) forget(name string) {
	s.mu.Lock()
	d := s.byName[name]
	groups := map[string]bool{}
	if d != nil {
		delete(s.byName, name)
		groups[d.crd.Spec.Group] = true
		if d.serving != nil {
			s.retire(d.serving)
		}
	}
	s.settle(groups)
}

// used notes that a resource has objects.
func (s *Server) used(name string) {
	s.mu.RLock()
	d := s.byName[name]
	s.mu.RUnlock()
	if d == nil || d.used {
		return
	}
	s.mu.Lock()
	d = s.byName[name]
	if d == nil || d.used {
		s.mu.Unlock()
		return
	}
	next := *d
	next.used = true
	s.byName[name] = &next
	s.mu.Unlock()
	s.config.Changed()
}

// Resource is a custom resource that is served.
type Resource struct {
	GroupKind        schema.GroupKind
	Plural, Singular string
	Namespaced       bool
	// Versions that are served, the preferred one first.
	Versions []string
	// Used is false if no object was ever stored: there is nothing to collect.
	Used bool
}

// Resources returns all that is served, sorted by definition.
func (s *Server) Resources() []Resource {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var list []Resource
	for _, d := range s.byName {
		if d.serving == nil {
			continue
		}
		names := d.crd.Status.AcceptedNames
		list = append(list, Resource{
			GroupKind: schema.GroupKind{Group: d.crd.Spec.Group, Kind: names.Kind}, Plural: names.Plural, Singular: names.Singular,
			Namespaced: d.crd.Spec.Scope == apiextensionsv1.NamespaceScoped, Versions: servedVersions(d.crd), Used: d.used,
		})
	}
	slices.SortFunc(list, func(a, b Resource) int {
		if a.GroupKind.Group != b.GroupKind.Group {
			return compare(a.GroupKind.Group, b.GroupKind.Group)
		}
		return compare(a.Plural, b.Plural)
	})
	return list
}
