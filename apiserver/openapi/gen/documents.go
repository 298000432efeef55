//go:build openapigen

package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/emicklei/go-restful/v3"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/builder"
	"k8s.io/kube-openapi/pkg/builder3"
	"k8s.io/kube-openapi/pkg/common/restfuladapter"
	"k8s.io/kube-openapi/pkg/handler"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/coracle-k8s/coracle/apiserver/openapi"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/registry/all"
)

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
	return !slices.ContainsFunc(all.Default(), func(r *registry.Resource) bool { return !r.Hidden && r.GVK.Group == parts[1] })
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
