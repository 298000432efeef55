package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// builtIn is the description of the built-in resources that are served. Those of
// beta and alpha versions are in files of their own, read only if one is served.
type builtIn struct {
	serves func(schema.GroupVersionResource) bool // nil for the default

	mu     sync.Mutex
	index  Index
	merged []byte // the v2 document, gzipped, if it is not the default one
}

// documents returns what is described below /openapi/v3.
func (b *builtIn) documents() (Index, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.read()
}

func (b *builtIn) read() (Index, error) {
	if b.index != nil {
		return b.index, nil
	}
	index, err := readIndex(indexFile)
	if err != nil {
		return nil, err
	}
	if b.serves != nil {
		optional, err := readIndex(optionalIndexFile)
		if err != nil {
			return nil, err
		}
		maps.Copy(index, optional)
		restrict(index, b.serves)
	}
	b.index = index
	return index, nil
}

func readIndex(file string) (Index, error) {
	var i Index
	if err := json.Unmarshal([]byte(text(file)), &i); err != nil {
		return nil, fmt.Errorf("reading the OpenAPI index: %w", err)
	}
	return i, nil
}

// restrict removes versions of which nothing is served, and groups without any
// version, and notes which resources of the others are not.
func restrict(index Index, serves func(schema.GroupVersionResource) bool) {
	groups := map[string]bool{}
	for path, e := range index {
		if len(e.Resources) == 0 {
			continue
		}
		gv := groupVersion(path)
		for _, r := range e.Resources {
			if !serves(gv.WithResource(r)) {
				e.hidden = append(e.hidden, r)
			}
		}
		if len(e.hidden) == len(e.Resources) {
			delete(index, path)
			continue
		}
		groups["apis/"+gv.Group] = true
		index[path] = e
	}
	for path := range index {
		if group, ok := strings.CutPrefix(path, "apis/"); ok && !strings.Contains(group, "/") && !groups[path] {
			delete(index, path)
		}
	}
}

// groupVersion reads apis/GROUP/VERSION or api/VERSION.
func groupVersion(path string) schema.GroupVersion {
	parts := strings.Split(path, "/")
	if len(parts) == 3 {
		return schema.GroupVersion{Group: parts[1], Version: parts[2]}
	}
	return schema.GroupVersion{Version: parts[len(parts)-1]}
}

// v3 returns the document, gzipped.
func (e Entry) v3() ([]byte, error) {
	if len(e.hidden) == 0 {
		return []byte(text(e.File)), nil
	}
	plain, err := gunzip([]byte(text(e.File)))
	if err != nil {
		return nil, err
	}
	m, err := newMerge(plain)
	if err != nil {
		return nil, err
	}
	m.drop(func(path string) bool { return slices.Contains(e.hidden, resourceOf(path)) })
	data, err := m.bytes()
	if err != nil {
		return nil, err
	}
	return compress(data)
}

// v2 returns the document of all that is built in and served, gzipped.
func (b *builtIn) v2() ([]byte, error) {
	base := []byte(text(v2File))
	if b.serves == nil {
		return base, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.merged != nil {
		return b.merged, nil
	}
	index, err := b.read()
	if err != nil {
		return nil, err
	}
	plain, err := gunzip(base)
	if err != nil {
		return nil, err
	}
	m, err := newMerge(plain)
	if err != nil {
		return nil, err
	}
	for _, path := range slices.Sorted(maps.Keys(index)) {
		if index[path].V2 == "" {
			continue
		}
		part, err := gunzip([]byte(text(index[path].V2)))
		if err != nil {
			return nil, err
		}
		if err := m.add(part); err != nil {
			return nil, fmt.Errorf("merging the description of %s: %w", path, err)
		}
	}
	m.drop(func(path string) bool {
		root := rootOf(path)
		if root == "" {
			return false
		}
		e, ok := index[strings.Trim(root, "/")]
		return !ok || slices.Contains(e.hidden, resourceOf(path))
	})
	if plain, err = m.bytes(); err != nil {
		return nil, err
	}
	b.merged, err = compress(plain)
	return b.merged, err
}

// rootOf returns the part of a path that names group and version, with a slash at
// both ends: /api/v1/ or /apis/apps/v1/. It is empty for other paths.
func rootOf(path string) string {
	parts := strings.Split(path, "/")
	n := 0
	switch {
	case len(parts) > 3 && parts[1] == "api":
		n = 3
	case len(parts) > 4 && parts[1] == "apis":
		n = 4
	default:
		return ""
	}
	return strings.Join(parts[:n], "/") + "/"
}

// resourceOf returns the resource that a path of an OpenAPI document leads to, ""
// for discovery.
func resourceOf(path string) string {
	root := rootOf(path)
	if root == "" {
		return ""
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(path, root), "watch/")
	if in, ok := strings.CutPrefix(rest, "namespaces/{namespace}/"); ok {
		rest = in
	}
	resource, _, _ := strings.Cut(rest, "/")
	return resource
}
