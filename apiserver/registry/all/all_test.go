package all

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// nowhere opens storages that store nothing.
type nowhere struct{}

func (nowhere) GetRESTOptions(gr schema.GroupResource, _ runtime.Object) (generic.RESTOptions, error) {
	return generic.RESTOptions{
		StorageConfig: &storagebackend.ConfigForResource{}, ResourcePrefix: "/" + gr.Resource,
		Decorator: func(*storagebackend.ConfigForResource, string, func(runtime.Object) (string, error), func() runtime.Object, func() runtime.Object,
			storage.AttrFunc, storage.IndexerFuncs, *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {
			return nil, func() {}, nil
		},
	}, nil
}

// build builds every resource as the server does.
func build(t testing.TB) (map[schema.GroupVersionResource]map[string]rest.Storage, registry.Env) {
	t.Helper()
	return buildOver(t, nowhere{})
}

func buildOver(t testing.TB, storages generic.RESTOptionsGetter) (map[schema.GroupVersionResource]map[string]rest.Storage, registry.Env) {
	t.Helper()
	resources, built := everything(), map[schema.GroupVersionResource]map[string]rest.Storage{}
	env := registry.Env{
		Scheme: apis.NewScheme(), RESTOptions: storages, Clock: testingclock.NewFakeClock(time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)),
		Services:    registry.ServiceNetwork{CIDR: "10.96.0.0/16", NodePortBase: 30000, NodePortSize: 2768},
		Definitions: unobserved{}, APIServices: unobserved{},
	}
	env.Store = func(gr schema.GroupResource) (*genericregistry.Store, error) {
		for gvr, storages := range built {
			if store := registry.StoreOf(storages[""]); gvr.GroupResource() == gr && store != nil {
				return store, nil
			}
		}
		for _, r := range resources {
			if r.GVR().GroupResource() == gr {
				storages, err := r.Build(env)
				built[r.GVR()] = storages
				return registry.StoreOf(storages[""]), err
			}
		}
		return nil, fmt.Errorf("no resource %s", gr)
	}
	for _, r := range resources {
		if built[r.GVR()] != nil {
			continue
		}
		storages, err := r.Build(env)
		if err != nil {
			t.Fatalf("building %s: %v", r.GVR(), err)
		}
		built[r.GVR()] = storages
	}
	return built, env
}

func TestResourcesAreConsistent(t *testing.T) {
	built, env := build(t)
	for _, r := range everything() {
		storages := built[r.GVR()]
		if !env.Scheme.Recognizes(r.GVK) {
			t.Errorf("%s: the scheme does not know %s", r.GVR(), r.GVK)
		}
		if s, ok := storages[""].(rest.Scoper); !ok || s.NamespaceScoped() == r.ClusterScoped {
			t.Errorf("%s: the storage disagrees about the scope", r.GVR())
		}
		checkVerbs(t, r.GVR().String(), r.Verbs, storages[""])
		for _, sub := range r.Subresources {
			name := r.GVR().String() + "/" + sub.Name
			if storages[sub.Name] == nil {
				t.Errorf("%s is declared but not built", name)
				continue
			}
			if !env.Scheme.Recognizes(sub.GVK) {
				t.Errorf("%s: the scheme does not know %s", name, sub.GVK)
			}
			checkVerbs(t, name, sub.Verbs, storages[sub.Name])
		}
		if len(storages) != len(r.Subresources)+1 {
			t.Errorf("%s: %d storages for %d subresources", r.GVR(), len(storages), len(r.Subresources))
		}
	}
}

func checkVerbs(t *testing.T, name string, verbs []string, st rest.Storage) {
	t.Helper()
	if !slices.IsSorted(verbs) || len(verbs) == 0 {
		t.Errorf("%s: verbs %v are not sorted", name, verbs)
	}
	if c, ok := st.(rest.Connecter); ok {
		methods := map[string]string{"create": "POST", "get": "GET", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}
		for _, verb := range verbs {
			if !slices.Contains(c.ConnectMethods(), methods[verb]) {
				t.Errorf("%s: verb %s is not connected", name, verb)
			}
		}
		return
	}
	for _, verb := range verbs {
		if !implements(st, verb) {
			t.Errorf("%s: verb %s is declared, but %T does not have it", name, verb, st)
		}
	}
}

func implements(st rest.Storage, verb string) (ok bool) {
	switch verb {
	case "create":
		_, ok = st.(rest.Creater)
		if _, named := st.(rest.NamedCreater); named {
			ok = true
		}
	case "get":
		_, ok = st.(rest.Getter)
		if _, options := st.(rest.GetterWithOptions); options {
			ok = true
		}
	case "list":
		_, ok = st.(rest.Lister)
	case "watch":
		_, ok = st.(rest.Watcher)
	case "update":
		_, ok = st.(rest.Updater)
	case "patch":
		_, ok = st.(rest.Patcher)
	case "delete":
		_, ok = st.(rest.GracefulDeleter)
	case "deletecollection":
		_, ok = st.(rest.CollectionDeleter)
	}
	return ok
}

// TestOptionsAreReadFromQueries decodes the options of every subresource that
// takes some.
func TestOptionsAreReadFromQueries(t *testing.T) {
	built, env := build(t)
	codec := runtime.NewParameterCodec(env.Scheme)
	for gvr, storages := range built {
		for name, st := range storages {
			var into runtime.Object
			switch s := st.(type) {
			case rest.Connecter:
				into, _, _ = s.NewConnectOptions()
			case rest.GetterWithOptions:
				into, _, _ = s.NewGetOptions()
			}
			if into == nil {
				continue
			}
			if err := codec.DecodeParameters(map[string][]string{"container": {"c"}}, gvr.GroupVersion(), into); err != nil {
				t.Errorf("%s/%s: %v", gvr, name, err)
			}
		}
	}
}
