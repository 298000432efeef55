package customresources

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/controller/openapi/builder"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/kube-openapi/pkg/spec3"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/coracle-k8s/coracle/apiserver/openapi"
)

var _ openapi.Source = &Server{}

// Documents implements openapi.Source: a document for each group and version,
// rendered when it is asked for.
func (s *Server) Documents() map[string]openapi.Document {
	s.mu.RLock()
	defer s.mu.RUnlock()
	parts := map[string][]*definitionCRD{}
	for _, d := range s.byName {
		if d.serving == nil {
			continue
		}
		for _, v := range servedVersions(d.crd) {
			path := "apis/" + d.crd.Spec.Group + "/" + v
			parts[path] = append(parts[path], d.serving.crd)
		}
	}
	documents := map[string]openapi.Document{}
	for path, crds := range parts {
		slices.SortFunc(crds, func(a, b *definitionCRD) int { return strings.Compare(a.Name, b.Name) })
		version := path[strings.LastIndex(path, "/")+1:]
		documents[path] = openapi.Document{
			Hash: hash(crds),
			V3:   func() ([]byte, error) { return renderV3(crds, version) },
			V2:   func() ([][]byte, error) { return renderV2(crds, version) },
		}
	}
	return documents
}

// hash changes with every change of what the document is made of.
func hash(crds []*definitionCRD) string {
	h := sha256.New()
	for _, crd := range crds {
		names, _ := json.Marshal(crd.Status.AcceptedNames) // strings always encode
		fmt.Fprintf(h, "%s %d %s\n", crd.UID, crd.Generation, names)
	}
	return strings.ToUpper(fmt.Sprintf("%x", h.Sum(nil)))
}

func renderV3(crds []*definitionCRD, version string) ([]byte, error) {
	var specs []*spec3.OpenAPI
	for _, crd := range crds {
		doc, err := builder.BuildOpenAPIV3(crd, version, builder.Options{IncludeSelectableFields: true})
		if err != nil {
			return nil, fmt.Errorf("describing %s: %w", crd.Name, err)
		}
		specs = append(specs, doc)
	}
	merged, err := builder.MergeSpecsV3(specs...)
	if err != nil {
		return nil, fmt.Errorf("merging the descriptions of custom resources: %w", err)
	}
	return json.Marshal(merged)
}

func renderV2(crds []*definitionCRD, version string) ([][]byte, error) {
	var documents [][]byte
	for _, crd := range crds {
		doc, err := builder.BuildOpenAPIV2(crd, version, builder.Options{V2: true, IncludeSelectableFields: true})
		if err != nil {
			return nil, fmt.Errorf("describing %s: %w", crd.Name, err)
		}
		data, err := json.Marshal(doc)
		if err != nil {
			return nil, fmt.Errorf("encoding the description of %s: %w", crd.Name, err)
		}
		documents = append(documents, data)
	}
	return documents, nil
}

// lazyTypes makes the merge schema of a definition when it is needed first.
type lazyTypes struct {
	crd  *definitionCRD
	once sync.Once
	made managedfields.TypeConverter
	err  error
}

func (l *lazyTypes) get() (managedfields.TypeConverter, error) {
	l.once.Do(func() { l.made, l.err = newTypes(l.crd) })
	return l.made, l.err
}

func newTypes(crd *definitionCRD) (managedfields.TypeConverter, error) {
	var specs []*spec3.OpenAPI
	for _, v := range crd.Spec.Versions {
		doc, err := builder.BuildOpenAPIV3(crd, v.Name, builder.Options{})
		if err != nil {
			return nil, fmt.Errorf("describing %s: %w", crd.Name, err)
		}
		specs = append(specs, doc)
	}
	merged, err := builder.MergeSpecsV3(specs...)
	if err != nil {
		return nil, fmt.Errorf("merging the versions of %s: %w", crd.Name, err)
	}
	return managedfields.NewTypeConverter(merged.Components.Schemas, crd.Spec.PreserveUnknownFields)
}

// ObjectToTyped implements managedfields.TypeConverter.
func (l *lazyTypes) ObjectToTyped(obj runtime.Object, opts ...typed.ValidationOptions) (*typed.TypedValue, error) {
	types, err := l.get()
	if err != nil {
		return nil, err
	}
	return types.ObjectToTyped(obj, opts...)
}

// TypedToObject implements managedfields.TypeConverter.
func (l *lazyTypes) TypedToObject(v *typed.TypedValue) (runtime.Object, error) {
	types, err := l.get()
	if err != nil {
		return nil, err
	}
	return types.TypedToObject(v)
}

// TypeConverter has the merge schema of a kind that is served, nil if it is not.
func (s *Server) TypeConverter(gk schema.GroupKind) managedfields.TypeConverter {
	found := s.servingKind(gk)
	if found == nil {
		return nil
	}
	found.shared.once.Do(func() { found.shared.err = found.share() })
	if found.shared.err != nil {
		return nil
	}
	return found.shared.types
}

func (s *Server) servingKind(gk schema.GroupKind) *serving {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, d := range s.byName {
		if d.serving != nil && d.crd.Spec.Group == gk.Group && d.crd.Status.AcceptedNames.Kind == gk.Kind {
			return d.serving
		}
	}
	return nil
}
