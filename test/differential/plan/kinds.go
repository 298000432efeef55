// Package plan decides which requests are sent. A request follows from the seed,
// from the samples and from what earlier requests were answered; nothing here
// has a client, a clock or a log.
package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/coracle-k8s/coracle/test/differential/samples"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kind is one served resource.
type Kind struct {
	schema.GroupVersionKind
	// Resource is the plural.
	Resource   string
	Namespaced bool
	// Subresources by name, with their own kinds.
	Subresources []Subresource
	Samples      []samples.Sample
	verbs        []string
}

// Subresource is one of a Kind.
type Subresource struct {
	Name string
	Kind schema.GroupVersionKind
	// Verbs are those of discovery.
	Verbs []string
}

// Can reports whether the resource has a verb.
func (k *Kind) Can(verb string) bool { return slices.Contains(k.verbs, verb) }

// Path returns the path of the collection in a namespace, "" for all.
func (k *Kind) Path(namespace string) string {
	path := "/apis/" + k.Group + "/" + k.Version
	if k.Group == "" {
		path = "/api/" + k.Version
	}
	if namespace != "" && k.Namespaced {
		path += "/namespaces/" + namespace
	}
	return path + "/" + k.Resource
}

// Kinds returns what discovery lists: a list for each version of each group.
func Kinds(lists []*metav1.APIResourceList, from []samples.Sample) ([]*Kind, error) {
	var out []*Kind
	byPath := map[string]*Kind{}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("reading discovery: %w", err)
		}
		for _, r := range list.APIResources {
			if !strings.Contains(r.Name, "/") {
				k := &Kind{GroupVersionKind: kindOf(gv, r), Resource: r.Name, Namespaced: r.Namespaced, verbs: r.Verbs}
				byPath[gv.String()+r.Name] = k
				out = append(out, k)
			}
		}
		for _, r := range list.APIResources {
			parent, sub, ok := strings.Cut(r.Name, "/")
			if !ok {
				continue
			}
			if k := byPath[gv.String()+parent]; k != nil {
				k.Subresources = append(k.Subresources, Subresource{Name: sub, Kind: kindOf(gv, r), Verbs: r.Verbs})
			}
		}
	}
	for _, k := range out {
		for _, s := range from {
			if s.GroupVersionKind == k.GroupVersionKind {
				k.Samples = append(k.Samples, s)
			}
		}
	}
	slices.SortFunc(out, func(a, b *Kind) int { return strings.Compare(a.Path(""), b.Path("")) })
	return out, nil
}

func kindOf(gv schema.GroupVersion, r metav1.APIResource) schema.GroupVersionKind {
	gvk := gv.WithKind(r.Kind)
	if r.Version != "" {
		gvk.Group, gvk.Version = r.Group, r.Version
	}
	return gvk
}
