package dispatch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/handlers"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/metrics"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"

	"github.com/coracle-k8s/coracle/apiserver/inprocess"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/storage"
)

// Config holds what a Dispatcher needs; all fields but Authorizer are required.
type Config struct {
	Scheme    *runtime.Scheme
	Resources []*registry.Resource
	// Env is handed to the resources; the dispatcher sets Env.Store.
	Env           registry.Env
	Admission     admission.Interface
	TypeConverter managedfields.TypeConverter
	Authorizer    authorizer.Authorizer
	Equivalents   runtime.EquivalentResourceRegistry
	// MaxRequestBodyBytes answers 413 beyond it.
	MaxRequestBodyBytes int64
	// MinRequestTimeout is the shortest time a watch is kept.
	MinRequestTimeout time.Duration
}

// Dispatcher is an http.Handler for every resource request it has a resource for.
type Dispatcher struct {
	config         Config
	codecs         serializer.CodecFactory
	serializer     runtime.NegotiatedSerializer
	parameterCodec runtime.ParameterCodec
	resources      map[schema.GroupVersionResource]*resource
	stores         map[schema.GroupResource]*resource
}

// resource is one entry of the map; storage is built under build.
type resource struct {
	*registry.Resource
	subresources map[string]registry.Subresource
	lifecycles   map[string]lifecycle // by subresource, of what is deprecated

	build    sync.Once
	storages map[string]rest.Storage
	err      error
	opened   atomic.Bool // storages is there

	mu     sync.Mutex
	scopes map[string]*handlers.RequestScope
}

// New makes a dispatcher; it opens no storage.
func New(c Config) (*Dispatcher, error) {
	d := &Dispatcher{
		config: c, parameterCodec: runtime.NewParameterCodec(c.Scheme),
		codecs: serializer.NewCodecFactory(c.Scheme,
			serializer.WithStreamingCollectionEncodingToJSON(), serializer.WithStreamingCollectionEncodingToProtobuf()),
		resources: map[schema.GroupVersionResource]*resource{},
		stores:    map[schema.GroupResource]*resource{},
	}
	d.serializer = newCheckedCodecs(d.codecs)
	d.config.Env.Store = d.Store
	for _, r := range c.Resources {
		gvr := r.GVR()
		if d.resources[gvr] != nil {
			return nil, fmt.Errorf("registering %s: it is there already", gvr)
		}
		e := &resource{Resource: r, subresources: map[string]registry.Subresource{}, scopes: map[string]*handlers.RequestScope{}}
		e.learn("", lifecycleOf(c.Scheme, r.GVK))
		for _, sub := range r.Subresources {
			e.subresources[sub.Name] = sub
			e.learn(sub.Name, lifecycleOf(c.Scheme, sub.GVK))
		}
		d.resources[gvr] = e
		if d.stores[gvr.GroupResource()] == nil || r.StoredAs == nil {
			d.stores[gvr.GroupResource()] = e
		}
		if r.Hidden {
			continue
		}
		c.Equivalents.RegisterKindFor(gvr, "", r.GVK)
		for _, sub := range r.Subresources {
			c.Equivalents.RegisterKindFor(gvr, sub.Name, sub.GVK)
		}
	}
	return d, nil
}

// Store returns the store of a resource, building it if it was not used yet.
func (d *Dispatcher) Store(gr schema.GroupResource) (*genericregistry.Store, error) {
	e := d.stores[gr]
	if e == nil {
		return nil, fmt.Errorf("looking up the store of %s: there is no such resource", gr)
	}
	storages, err := d.open(context.Background(), e)
	if err != nil {
		return nil, err
	}
	store := registry.StoreOf(storages[""])
	if store == nil {
		return nil, fmt.Errorf("looking up the store of %s: it stores nothing", gr)
	}
	return store, nil
}

// Stores reports whether the resource is stored, and read by Store in that version.
func (d *Dispatcher) Stores(gvr schema.GroupVersionResource) bool {
	e := d.resources[gvr]
	if e == nil || d.stores[gvr.GroupResource()] != e {
		return false
	}
	store, err := d.Store(gvr.GroupResource())
	if err != nil {
		return false
	}
	kinds, _, err := d.config.Scheme.ObjectKinds(store.New())
	return err == nil && slices.Contains(kinds, e.GVK)
}

// Opened returns the stores that were used.
func (d *Dispatcher) Opened() []*genericregistry.Store {
	var opened []*genericregistry.Store
	for _, e := range d.stores {
		if !e.opened.Load() {
			continue
		}
		if store := registry.StoreOf(e.storages[""]); store != nil {
			opened = append(opened, store)
		}
	}
	return opened
}

// Destroy closes every storage that was opened.
func (d *Dispatcher) Destroy() {
	for _, e := range d.resources {
		e.build.Do(func() { e.err = errors.New("the API server has stopped") })
		for _, s := range e.storages {
			s.Destroy()
		}
	}
}

// open builds the resource's storages once and waits until its watch cache
// answers: an informer that came too early would back off for a second.
func (d *Dispatcher) open(ctx context.Context, e *resource) (map[string]rest.Storage, error) {
	e.build.Do(func() {
		e.storages, e.err = e.Build(d.config.Env)
		e.opened.Store(e.err == nil)
	})
	if e.err != nil {
		return nil, fmt.Errorf("opening %s: %w", e.GVR(), e.err)
	}
	if store := registry.StoreOf(e.storages[""]); store != nil {
		if w, ok := store.Storage.Storage.(storage.Waiter); ok {
			if err := w.Wait(ctx); err != nil {
				return nil, fmt.Errorf("waiting for the cache of %s: %w", e.GVR(), err)
			}
		}
	}
	return e.storages, nil
}

// ServeHTTP implements http.Handler for requests with a RequestInfo.
func (d *Dispatcher) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	info, ok := request.RequestInfoFrom(req.Context())
	if !ok || !info.IsResourceRequest {
		http.NotFound(w, req)
		return
	}
	gvr := schema.GroupVersionResource{Group: info.APIGroup, Version: info.APIVersion, Resource: info.Resource}
	e := d.resources[gvr]
	if e == nil || !e.serves(info) || e.Hidden && !inprocess.From(req) {
		d.fail(w, req, gvr, genericNotFound())
		return
	}
	if !e.allows(info) {
		d.fail(w, req, gvr, apierrors.NewMethodNotSupported(gvr.GroupResource(), info.Verb))
		return
	}
	if info.Namespace == "." || info.Namespace == ".." { // of which no key can be made
		d.fail(w, req, gvr, apierrors.NewBadRequest(fmt.Sprintf("Namespace parameter invalid: %q", info.Namespace)))
		return
	}
	storages, err := d.open(req.Context(), e)
	if err != nil {
		d.fail(w, req, gvr, apierrors.NewInternalError(err))
		return
	}
	st := storages[info.Subresource]
	if st == nil {
		d.fail(w, req, gvr, genericNotFound())
		return
	}
	scope, err := d.scope(e, info.Subresource, st)
	if err != nil {
		d.fail(w, req, gvr, apierrors.NewInternalError(err))
		return
	}
	handler, verb := d.handler(st, scope, info, req)
	if handler == nil {
		d.fail(w, req, gvr, apierrors.NewMethodNotSupported(gvr.GroupResource(), info.Verb))
		return
	}
	if err := d.unroutable(st, info, req); err != nil {
		d.fail(w, req, gvr, err)
		return
	}
	life := e.lifecycles[info.Subresource]
	if life.warning != "" {
		warning.AddWarning(req.Context(), "", life.warning)
	}
	metrics.InstrumentHandlerFunc(verb, info.APIGroup, info.APIVersion, info.Resource, info.Subresource,
		metrics.CleanScope(info), metrics.APIServerComponent, life.deprecated, life.removed, handler)(w, req)
}

func (e *resource) learn(subresource string, l lifecycle) {
	if !l.deprecated {
		return
	}
	if e.lifecycles == nil {
		e.lifecycles = map[string]lifecycle{}
	}
	e.lifecycles[subresource] = l
}

// serves reports whether the path exists: namespaced kinds may be listed across
// namespaces but nothing else, and cluster-scoped ones have no namespace.
func (e *resource) serves(info *request.RequestInfo) bool {
	if info.Subresource != "" {
		if _, ok := e.subresources[info.Subresource]; !ok || info.Name == "" {
			return false
		}
	}
	if e.ClusterScoped {
		// namespaces/NAME/finalize and status carry their name as namespace too.
		return info.Namespace == "" || info.Resource == "namespaces"
	}
	// A list by metadata.name has that name here, too.
	return info.Namespace != "" || info.Name == "" || info.Verb == "list" || info.Verb == "watch"
}

// allows reports whether the verb fits the path: across namespaces there is only
// reading, and what changes one object needs its name.
func (e *resource) allows(info *request.RequestInfo) bool {
	switch info.Verb {
	case "list", "watch", "get":
		return true
	case "update", "patch", "delete":
		if info.Name == "" {
			return false
		}
	}
	return e.ClusterScoped || info.Namespace != ""
}

func genericNotFound() error {
	return apierrors.NewGenericServerResponse(http.StatusNotFound, "", schema.GroupResource{}, "", "the server could not find the requested resource", 0, true)
}

func (d *Dispatcher) fail(w http.ResponseWriter, req *http.Request, gvr schema.GroupVersionResource, err error) {
	responsewriters.ErrorNegotiated(err, d.codecs, gvr.GroupVersion(), w, req)
}

// handler picks the stock handler and the verb metrics know it by.
func (d *Dispatcher) handler(st rest.Storage, scope *handlers.RequestScope, info *request.RequestInfo, req *http.Request) (http.HandlerFunc, string) {
	if c, ok := st.(rest.Connecter); ok {
		for _, method := range c.ConnectMethods() {
			if method == req.Method {
				return handlers.ConnectResource(c, scope, d.config.Admission, req.URL.Path, info.Subresource != ""), "CONNECT"
			}
		}
		return nil, ""
	}
	switch info.Verb {
	case "get", "list", "watch":
		return d.reader(st, scope, info)
	default:
		return d.writer(st, scope, info)
	}
}

func (d *Dispatcher) reader(st rest.Storage, scope *handlers.RequestScope, info *request.RequestInfo) (http.HandlerFunc, string) {
	switch info.Verb {
	case "get":
		if g, ok := st.(rest.GetterWithOptions); ok {
			return handlers.GetResourceWithOptions(g, scope, info.Subresource != ""), "GET"
		}
		if g, ok := st.(rest.Getter); ok {
			return handlers.GetResource(g, scope), "GET"
		}
	case "list":
		if l, ok := st.(rest.Lister); ok {
			watcher, _ := st.(rest.Watcher)
			return handlers.ListResource(l, watcher, scope, false, d.config.MinRequestTimeout), "LIST"
		}
	case "watch":
		l, isLister := st.(rest.Lister)
		if watcher, ok := st.(rest.Watcher); ok && isLister {
			return handlers.ListResource(l, watcher, scope, true, d.config.MinRequestTimeout), "WATCH"
		}
	}
	return nil, ""
}

func (d *Dispatcher) writer(st rest.Storage, scope *handlers.RequestScope, info *request.RequestInfo) (http.HandlerFunc, string) {
	admit := d.config.Admission
	switch info.Verb {
	case "create":
		if c, ok := st.(rest.NamedCreater); ok && info.Name != "" {
			return handlers.CreateNamedResource(c, scope, admit), "POST"
		}
		if c, ok := st.(rest.Creater); ok && (info.Name == "" || info.Subresource != "") {
			return handlers.CreateResource(c, scope, admit), "POST"
		}
	case "update":
		if u, ok := st.(rest.Updater); ok {
			return handlers.UpdateResource(u, scope, admit), "PUT"
		}
	case "patch":
		if p, ok := st.(rest.Patcher); ok {
			return handlers.PatchResource(p, scope, admit, patchTypes()), "PATCH"
		}
	case "delete":
		if g, ok := st.(rest.GracefulDeleter); ok {
			return handlers.DeleteResource(g, true, scope, admit), "DELETE"
		}
	case "deletecollection":
		if c, ok := st.(rest.CollectionDeleter); ok {
			return handlers.DeleteCollection(c, true, scope, admit), "DELETECOLLECTION"
		}
	}
	return nil, ""
}

func patchTypes() []string {
	return []string{string(types.JSONPatchType), string(types.MergePatchType), string(types.StrategicMergePatchType), string(types.ApplyYAMLPatchType)}
}

// segments splits a group version's URL prefix from its group.
func segments(gv schema.GroupVersion) string {
	if gv.Group == "" {
		return "/api/" + gv.Version
	}
	return strings.Join([]string{"/apis", gv.Group, gv.Version}, "/")
}
