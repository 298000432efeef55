//go:build openapigen

// Command gen renders the OpenAPI documents and merge schemas of the built-in
// API into apiserver/openapi/data. `make generate` runs it, after openapi-gen
// has written the definitions into gen/defs.
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

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
	"k8s.io/kube-openapi/pkg/builder"
	"k8s.io/kube-openapi/pkg/builder3"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/common/restfuladapter"
	"k8s.io/kube-openapi/pkg/handler"
	"k8s.io/kube-openapi/pkg/schemaconv"
	"k8s.io/kube-openapi/pkg/spec3"
	openapiutil "k8s.io/kube-openapi/pkg/util"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/utils/clock"
	smd "sigs.k8s.io/structured-merge-diff/v6/schema"

	"github.com/coracle-k8s/coracle/apis"

	"github.com/coracle-k8s/coracle/apiserver/openapi"
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

// resources are those of every version.
func resources() []*registry.Resource { return append(all.Resources(), all.Optional()...) }

// optionalVersions have no resource that is on by default.
func optionalVersions() map[schema.GroupVersion]bool {
	versions := map[schema.GroupVersion]bool{}
	for _, r := range all.Optional() {
		versions[r.GVK.GroupVersion()] = true
	}
	return versions
}

// writeTypes writes the merge types of stable versions, and besides those what
// other versions have more.
func writeTypes(scheme *runtime.Scheme, out string) error {
	kinds, types, err := mergeTypes(scheme, func(gv schema.GroupVersion) bool { return !optionalVersions()[gv] })
	if err != nil {
		return err
	}
	if err := encodeTypes(kinds, types, filepath.Join(out, "types.txt")); err != nil {
		return err
	}
	allKinds, allTypes, err := mergeTypes(scheme, func(schema.GroupVersion) bool { return true })
	if err != nil {
		return err
	}
	maps.DeleteFunc(allKinds, func(gvk schema.GroupVersionKind, _ string) bool { return kinds[gvk] != "" })
	allTypes = slices.DeleteFunc(allTypes, func(t smd.TypeDef) bool {
		return slices.ContainsFunc(types, func(o smd.TypeDef) bool { return o.Name == t.Name })
	})
	return encodeTypes(allKinds, allTypes, filepath.Join(out, optional, "types.txt"))
}

func encodeTypes(kinds map[schema.GroupVersionKind]string, types []smd.TypeDef, file string) error {
	data, err := openapi.EncodeTypes(kinds, types)
	if err != nil {
		return err
	}
	log.Printf("%s: %d kinds, %d types, %d bytes", file, len(kinds), len(types), len(data))
	return os.WriteFile(file, data, 0o644)
}

// mergeTypes returns the merge types of the kinds in versions that are wanted, and
// all that they refer to.
func mergeTypes(scheme *runtime.Scheme, wanted func(schema.GroupVersion) bool) (map[schema.GroupVersionKind]string, []smd.TypeDef, error) {
	config := v3Config(scheme)
	var names []string
	seen := map[string]bool{}
	for gvk := range scheme.AllKnownTypes() {
		if gvk.Version == runtime.APIVersionInternal || !wanted(gvk.GroupVersion()) {
			continue
		}
		obj, err := scheme.New(gvk)
		if err != nil {
			return nil, nil, err
		}
		name := openapiutil.GetCanonicalTypeName(obj)
		if n, ok := obj.(interface{ OpenAPIModelName() string }); ok {
			name = n.OpenAPIModelName()
		}
		if _, ok := config.Definitions[name]; ok && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	sort.Strings(names)
	schemas, err := builder3.BuildOpenAPIDefinitionsForResources(config, names...)
	if err != nil {
		return nil, nil, fmt.Errorf("building definitions: %w", err)
	}
	merge, err := schemaconv.ToSchemaFromOpenAPI(schemas, false)
	if err != nil {
		return nil, nil, fmt.Errorf("converting definitions to merge types: %w", err)
	}
	kinds := map[schema.GroupVersionKind]string{}
	for name, s := range schemas {
		for _, gvk := range gvks(s) {
			kinds[gvk] = name
		}
	}
	sort.Slice(merge.Types, func(i, j int) bool { return merge.Types[i].Name < merge.Types[j].Name })
	return kinds, merge.Types, nil
}

func gvks(s *spec.Schema) []schema.GroupVersionKind {
	data, err := json.Marshal(s.Extensions["x-kubernetes-group-version-kind"])
	if err != nil {
		return nil
	}
	var list []schema.GroupVersionKind
	if json.Unmarshal(data, &list) != nil {
		return nil
	}
	return list
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

// bearer names how clients show who they are, besides certificates.
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
			if r.GVR().GroupResource() == gr {
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

func writeDocuments(scheme *runtime.Scheme, services []*restful.WebService, out string) error {
	usual := slices.DeleteFunc(slices.Clone(services), isOptional)
	base, err := v2(usual)
	if err != nil {
		return err
	}
	if _, err := write(base, filepath.Join(out, "v2.json.gz")); err != nil {
		return err
	}
	index, err := writeV3(scheme, usual, out, "")
	if err != nil {
		return err
	}
	if err := writeIndex(index, out); err != nil {
		return err
	}
	others := slices.DeleteFunc(slices.Clone(services), func(ws *restful.WebService) bool { return !isOptional(ws) })
	if index, err = writeV3(scheme, others, out, optional); err != nil {
		return err
	}
	for _, ws := range others {
		if err := writeOptionalV2(ws, base, index, out); err != nil {
			return err
		}
	}
	return writeIndex(index, filepath.Join(out, optional))
}

// isOptional reports whether a service is a version that is off by default, or the
// discovery of a group that has no other.
func isOptional(ws *restful.WebService) bool {
	parts := strings.Split(strings.Trim(ws.RootPath(), "/"), "/")
	if parts[0] != "apis" || len(parts) < 2 {
		return false
	}
	if len(parts) > 2 {
		return optionalVersions()[schema.GroupVersion{Group: parts[1], Version: parts[2]}]
	}
	return !slices.ContainsFunc(all.Resources(), func(r *registry.Resource) bool { return r.GVK.Group == parts[1] })
}

func v2(services []*restful.WebService) (*spec.Swagger, error) {
	doc, err := builder.BuildOpenAPISpecFromRoutes(restfuladapter.AdaptWebServices(services), v2Config())
	if err != nil {
		return nil, fmt.Errorf("building OpenAPI v2: %w", err)
	}
	doc.Definitions = handler.PruneDefaults(doc.Definitions)
	return doc, nil
}

// writeOptionalV2 writes what the document of a service has besides base.
func writeOptionalV2(ws *restful.WebService, base *spec.Swagger, index openapi.Index, out string) error {
	doc, err := v2([]*restful.WebService{ws})
	if err != nil {
		return err
	}
	maps.DeleteFunc(doc.Definitions, func(name string, _ spec.Schema) bool {
		_, ok := base.Definitions[name]
		return ok
	})
	path := strings.Trim(ws.RootPath(), "/")
	e := index[path]
	e.V2 = "data/" + optional + "/v2_" + fileOf(path)
	index[path] = e
	_, err = write(doc, filepath.Join(out, strings.TrimPrefix(e.V2, "data/")))
	return err
}

// fileOf names a path's document. Embedding leaves out files whose names begin with
// a dot.
func fileOf(path string) string {
	return strings.ReplaceAll(strings.TrimPrefix(path, "."), "/", "_") + ".json.gz"
}

func writeIndex(index openapi.Index, dir string) error {
	data, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "index.json"), append(data, '\n'), 0o644)
}

// plurals lists the resources of the version at a path.
func plurals(path string) (list []string) {
	for _, r := range resources() {
		gv := "apis/" + r.GVK.GroupVersion().String()
		if r.GVK.Group == "" {
			gv = "api/" + r.GVK.Version
		}
		if gv == path {
			list = append(list, r.Plural)
		}
	}
	return list
}

func writeV3(scheme *runtime.Scheme, services []*restful.WebService, out, folder string) (openapi.Index, error) {
	index := openapi.Index{}
	for _, ws := range services {
		path := strings.Trim(ws.RootPath(), "/")
		doc, err := builder3.BuildOpenAPISpecFromRoutes(restfuladapter.AdaptWebServices([]*restful.WebService{ws}), v3Config(scheme))
		if err != nil {
			return nil, fmt.Errorf("building OpenAPI v3 of %s: %w", path, err)
		}
		file := filepath.Join(folder, fileOf(path))
		hash, err := write(doc, filepath.Join(out, file))
		if err != nil {
			return nil, err
		}
		index[path] = openapi.Entry{File: "data/" + file, Hash: hash, Resources: plurals(path)}
	}
	return index, nil
}

func write(doc any, file string) (hash string, err error) {
	data, err := json.Marshal(doc)
	if err != nil {
		return "", fmt.Errorf("encoding %s: %w", file, err)
	}
	var b bytes.Buffer
	zw, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return "", err
	}
	if _, err := zw.Write(data); err != nil {
		return "", err
	}
	if err := zw.Close(); err != nil {
		return "", err
	}
	log.Printf("%s: %d bytes, %d compressed", file, len(data), b.Len())
	return strings.ToUpper(fmt.Sprintf("%x", sha256.Sum256(data))), os.WriteFile(file, b.Bytes(), 0o644)
}

// closed gives stores a storage that nobody opens.
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
