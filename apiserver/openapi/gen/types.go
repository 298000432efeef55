//go:build openapigen

package main

import (
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/builder3"
	"k8s.io/kube-openapi/pkg/schemaconv"
	openapiutil "k8s.io/kube-openapi/pkg/util"
	"k8s.io/kube-openapi/pkg/validation/spec"
	smd "sigs.k8s.io/structured-merge-diff/v6/schema"

	"github.com/coracle-k8s/coracle/apiserver/openapi"
)

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
	for i := range merge.Types {
		sortFields(&merge.Types[i].Atom)
	}
	return kinds, merge.Types, nil
}

// sortFields brings the fields of structs, which come from a map, into one order.
func sortFields(a *smd.Atom) {
	if a.List != nil {
		sortFields(&a.List.ElementType.Inlined)
	}
	if a.Map == nil {
		return
	}
	sort.Slice(a.Map.Fields, func(i, j int) bool { return a.Map.Fields[i].Name < a.Map.Fields[j].Name })
	for i := range a.Map.Fields {
		sortFields(&a.Map.Fields[i].Type.Inlined)
	}
	sortFields(&a.Map.ElementType.Inlined)
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
