//go:build openapigen

// Command gen renders the OpenAPI documents and merge schemas of the built-in
// API into apiserver/openapi/data. `make generate` runs it, after openapi-gen
// has written the definitions into gen/defs.
package main

import (
	"cmp"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/emicklei/go-restful/v3"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/version"
	genericapi "k8s.io/apiserver/pkg/endpoints"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/routes"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/utils/clock"

	"github.com/coracle-k8s/coracle/apis"

	"github.com/coracle-k8s/coracle/apiserver/openapi/gen/defs"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/registry/all"
)

func main() {
	log.SetFlags(0)
	out := "apiserver/openapi/data"
	if len(os.Args) > 1 {
		out = os.Args[1]
	}
	if err := run(out); err != nil {
		log.Fatal(err)
	}
}

func run(out string) error {
	scheme := apis.NewScheme()
	if err := os.MkdirAll(filepath.Join(out, optional), 0o755); err != nil {
		return err
	}
	if err := writeTypes(scheme, out); err != nil {
		return err
	}
	services, err := webServices(scheme)
	if err != nil {
		return err
	}
	return writeDocuments(scheme, services, out)
}

// optional is the folder of what describes beta and alpha versions.
const optional = "optional"

// resources returns the resources of every version, those that are on by default first.
func resources() []*registry.Resource {
	every, err := all.Enabled(map[string]string{"api/all": "true"}, func(string) bool { return true })
	if err != nil {
		log.Fatal(err)
	}
	usual := usualVersions()
	slices.SortStableFunc(every, func(a, b *registry.Resource) int {
		return cmp.Compare(rank(usual, a), rank(usual, b))
	})
	return every
}

func rank(usual map[schema.GroupVersion]bool, r *registry.Resource) int {
	if usual[r.GVK.GroupVersion()] {
		return 0
	}
	return 1
}

// usualVersions have resources that are on by default.
func usualVersions() map[schema.GroupVersion]bool {
	versions := map[schema.GroupVersion]bool{}
	for _, r := range all.Default() {
		if !r.Hidden {
			versions[r.GVK.GroupVersion()] = true
		}
	}
	return versions
}

// optionalVersions have no resource that is on by default.
func optionalVersions() map[schema.GroupVersion]bool {
	usual, versions := usualVersions(), map[schema.GroupVersion]bool{}
	for _, r := range resources() {
		if gv := r.GVK.GroupVersion(); !usual[gv] {
			versions[gv] = true
		}
	}
	return versions
}

// wireScheme has the kinds that clients see. Those of two libraries are not in
// the clients' scheme, as they are not in client-go's.
func wireScheme() *runtime.Scheme {
	s := apis.NewClientScheme()
	for _, add := range []func(*runtime.Scheme) error{apiextensionsv1.AddToScheme, apiregistrationv1.AddToScheme} {
		if err := add(s); err != nil {
			log.Fatal(err)
		}
	}
	versions := optionalVersions()
	known := apis.NewScheme()
	for gvk := range known.AllKnownTypes() {
		if !versions[gvk.GroupVersion()] {
			continue
		}
		obj, err := known.New(gvk)
		if err != nil {
			log.Fatal(err)
		}
		s.AddKnownTypeWithName(gvk, obj)
	}
	return s
}

func v3Config(scheme *runtime.Scheme) *common.OpenAPIV3Config {
	c := genericapiserver.DefaultOpenAPIV3Config(defs.GetOpenAPIDefinitions, openapinamer.NewDefinitionNamer(wireScheme()))
	c.Info.Title, c.Info.Version = "Kubernetes", apis.KubernetesVersion
	c.CommonResponses = map[int]*spec3.Response{http.StatusUnauthorized: {ResponseProps: spec3.ResponseProps{Description: "Unauthorized"}}}
	c.SecuritySchemes = spec3.SecuritySchemes{bearer: &spec3.SecurityScheme{SecuritySchemeProps: spec3.SecuritySchemeProps{
		Type: "apiKey", Name: "authorization", In: "header", Description: "Bearer Token authentication"}}}
	c.DefaultSecurity = []map[string][]string{{bearer: {}}}
	return c
}

// bearer names the security scheme of clients without certificates.
const bearer = "BearerToken"

func v2Config() *common.Config {
	c := genericapiserver.DefaultOpenAPIConfig(defs.GetOpenAPIDefinitions, openapinamer.NewDefinitionNamer(wireScheme()))
	c.Info.Title, c.Info.Version = "Kubernetes", apis.KubernetesVersion
	c.CommonResponses = map[int]spec.Response{http.StatusUnauthorized: {ResponseProps: spec.ResponseProps{Description: "Unauthorized"}}}
	c.SecurityDefinitions = &spec.SecurityDefinitions{bearer: &spec.SecurityScheme{SecuritySchemeProps: spec.SecuritySchemeProps{
		Type: "apiKey", Name: "authorization", In: "header", Description: "Bearer Token authentication"}}}
	c.DefaultSecurity = []map[string][]string{{bearer: {}}}
	return c
}

// webServices installs every resource with the stock installer, over storages
// that are never opened, for the sake of its routes.
func webServices(scheme *runtime.Scheme) ([]*restful.WebService, error) {
	container := restful.NewContainer()
	storages := map[schema.GroupVersion]map[string]rest.Storage{}
	var order []schema.GroupVersion
	env := registry.Env{Scheme: scheme, RESTOptions: closed{}, Clock: clock.RealClock{}, Services: registry.ServiceNetwork{CIDR: "10.96.0.0/16", NodePortBase: 30000, NodePortSize: 2768}}
	env.Store = func(gr schema.GroupResource) (*genericregistry.Store, error) {
		for _, r := range resources() {
			if r.GVR().GroupResource() == gr && r.StoredAs == nil {
				built, err := r.Build(env)
				if err != nil {
					return nil, err
				}
				return registry.StoreOf(built[""]), nil
			}
		}
		return nil, fmt.Errorf("no resource %s", gr)
	}
	for _, r := range resources() {
		gv := r.GVK.GroupVersion()
		if storages[gv] == nil {
			storages[gv] = map[string]rest.Storage{}
			order = append(order, gv)
		}
		built, err := r.Build(env)
		if err != nil {
			return nil, fmt.Errorf("building %s: %w", r.Plural, err)
		}
		for sub, st := range built {
			path := r.Plural
			if sub != "" {
				path += "/" + sub
			}
			if one, ok := st.(single); ok && sub == "" && !slices.Contains(r.Verbs, "deletecollection") {
				st = struct{ single }{one} // hides that it could
			}
			storages[gv][path] = st
		}
	}
	v1 := schema.GroupVersion{Version: "v1"}
	for _, gv := range order {
		root := "/apis"
		if gv.Group == "" {
			root = "/api"
		}
		group := &genericapi.APIGroupVersion{
			Storage: storages[gv], Root: root, GroupVersion: gv, OptionsExternalVersion: &v1,
			Serializer: serializer.NewCodecFactory(scheme), ParameterCodec: runtime.NewParameterCodec(scheme),
			Typer: scheme, Creater: scheme, Convertor: scheme, ConvertabilityChecker: scheme, Defaulter: scheme,
			Namer: runtime.Namer(meta.NewAccessor()), UnsafeConvertor: runtime.UnsafeObjectConvertor(scheme),
			TypeConverter: managedfields.NewDeducedTypeConverter(), EquivalentResourceRegistry: runtime.NewEquivalentResourceRegistry(),
		}
		if _, _, err := group.InstallREST(container); err != nil {
			return nil, fmt.Errorf("installing %s: %w", gv, err)
		}
	}
	for _, ws := range discoveryServices(serializer.NewCodecFactory(scheme), order) {
		container.Add(ws)
	}
	routes.Version{Version: &version.Info{}}.Install(container)
	return container.RegisteredWebServices(), nil
}

// single is a storage of objects that are deleted one by one.
type single interface {
	rest.Storage
	rest.Scoper
	rest.SingularNameProvider
	rest.Getter
	rest.Lister
	rest.Watcher
	rest.CreaterUpdater
	rest.GracefulDeleter
}

// closed gives stores a storage that is never opened.
type closed struct{}

func (closed) GetRESTOptions(gr schema.GroupResource, _ runtime.Object) (generic.RESTOptions, error) {
	return generic.RESTOptions{
		StorageConfig: (&storagebackend.Config{}).ForResource(gr), ResourcePrefix: gr.String(),
		Decorator: func(*storagebackend.ConfigForResource, string, func(runtime.Object) (string, error), func() runtime.Object, func() runtime.Object,
			storage.AttrFunc, storage.IndexerFuncs, *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {
			return nil, func() {}, nil
		},
	}, nil
}
