package openapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// Source describes resources that come and go: custom ones and those of other
// servers.
type Source interface {
	// Documents by path below /openapi/v3, such as apis/example.com/v1. It is
	// called at every request for an index or for v2, so it must be cheap.
	Documents() map[string]Document
}

// Document describes one group and version. It is rendered when asked for.
type Document struct {
	// Hash changes when the document does.
	Hash string
	// V3 is the OpenAPI v3 document, JSON.
	V3 func() ([]byte, error)
	// V2 are OpenAPI v2 documents to merge into the one of all, JSON.
	V2 func() ([][]byte, error)
}

// sources are asked in the order they were added; the built-in documents come first.
type sources struct {
	list []Source

	mu sync.Mutex
	// merged is the last v2 document, gzipped, of the documents that mergedHash stands for.
	merged     []byte
	mergedHash string
}

func (s *sources) documents() map[string]Document {
	all := map[string]Document{}
	for _, source := range s.list {
		for path, d := range source.Documents() {
			if _, ok := all[path]; !ok {
				all[path] = d
			}
		}
	}
	return all
}

// v2 returns base with the sources' documents merged in, gzipped, and its hash.
// Only the last result is kept.
func (s *sources) v2(base []byte) ([]byte, string, error) {
	documents := s.documents()
	h := sha256.New()
	h.Write(base)
	paths := slices.Sorted(maps.Keys(documents))
	for _, path := range paths {
		fmt.Fprintf(h, "%s %s\n", path, documents[path].Hash)
	}
	hash := strings.ToUpper(fmt.Sprintf("%x", h.Sum(nil)))
	if len(paths) == 0 {
		return base, hash, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mergedHash == hash {
		return s.merged, hash, nil
	}
	plain, err := gunzip(base)
	if err != nil {
		return nil, "", err
	}
	merge, err := newMerge(plain)
	if err != nil {
		return nil, "", err
	}
	for _, path := range paths {
		parts, err := documents[path].V2()
		if err != nil {
			continue // a server that is away must not take the others' documents with it
		}
		for _, part := range parts {
			if err := merge.add(part); err != nil {
				return nil, "", fmt.Errorf("merging the description of %s: %w", path, err)
			}
		}
	}
	if plain, err = merge.bytes(); err != nil {
		return nil, "", err
	}
	if s.merged, err = compress(plain); err != nil {
		return nil, "", err
	}
	s.mergedHash = hash
	return s.merged, hash, nil
}

func compress(plain []byte) ([]byte, error) {
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	if _, err := zw.Write(plain); err != nil {
		return nil, fmt.Errorf("compressing an OpenAPI document: %w", err)
	}
	if err := zw.Close(); err != nil {
		return nil, fmt.Errorf("compressing an OpenAPI document: %w", err)
	}
	return b.Bytes(), nil
}

// merge joins v2 documents by their JSON: reading them into the library's types
// would take twenty times the memory.
type merge struct {
	root, definitions, paths map[string]json.RawMessage
}

func newMerge(base []byte) (*merge, error) {
	m := &merge{}
	if err := json.Unmarshal(base, &m.root); err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	var err error
	m.definitions, m.paths, err = sections(m.root)
	return m, err
}

func sections(root map[string]json.RawMessage) (definitions, paths map[string]json.RawMessage, err error) {
	definitions, paths = map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for name, into := range map[string]*map[string]json.RawMessage{"definitions": &definitions, "paths": &paths} {
		if data, ok := root[name]; ok {
			if err := json.Unmarshal(data, into); err != nil {
				return nil, nil, fmt.Errorf("reading %s of an OpenAPI document: %w", name, err)
			}
		}
	}
	return definitions, paths, nil
}

// sharedTypes are described alike everywhere, but for their wording.
const sharedTypes = "io.k8s.apimachinery.pkg."

// add takes a document's paths and definitions in. A path that is there stays.
// Definitions of another meaning but the same name get another one.
func (m *merge) add(part []byte) error {
	var root map[string]json.RawMessage
	if err := json.Unmarshal(part, &root); err != nil {
		return fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	definitions, paths, err := sections(root)
	if err != nil {
		return err
	}
	renamed := map[string]string{}
	for name, d := range definitions {
		if old, ok := m.definitions[name]; ok && !strings.HasPrefix(name, sharedTypes) && !sameJSON(old, d) {
			renamed[name] = m.free(name, definitions)
		}
	}
	rename := func(data json.RawMessage) json.RawMessage {
		for from, to := range renamed {
			data = bytes.ReplaceAll(data, []byte(`"#/definitions/`+from+`"`), []byte(`"#/definitions/`+to+`"`))
		}
		return data
	}
	for name, d := range definitions {
		if to, ok := renamed[name]; ok {
			name = to
		} else if m.definitions[name] != nil {
			continue
		}
		m.definitions[name] = rename(d)
	}
	for path, p := range paths {
		if m.paths[path] == nil {
			m.paths[path] = rename(p)
		}
	}
	return nil
}

// drop removes paths.
func (m *merge) drop(unwanted func(path string) bool) {
	maps.DeleteFunc(m.paths, func(path string, _ json.RawMessage) bool { return unwanted(path) })
}

// free finds a name that neither document has.
func (m *merge) free(name string, other map[string]json.RawMessage) string {
	for i := 2; ; i++ {
		candidate := fmt.Sprintf("%s_v%d", name, i)
		if m.definitions[candidate] == nil && other[candidate] == nil {
			return candidate
		}
	}
}

func sameJSON(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

func (m *merge) bytes() ([]byte, error) {
	for name, section := range map[string]map[string]json.RawMessage{"definitions": m.definitions, "paths": m.paths} {
		if _, had := m.root[name]; !had && len(section) == 0 {
			continue
		}
		data, err := json.Marshal(section)
		if err != nil {
			return nil, fmt.Errorf("encoding %s of an OpenAPI document: %w", name, err)
		}
		m.root[name] = data
	}
	return json.Marshal(m.root)
}

func gunzip(b []byte) ([]byte, error) {
	zr, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("reading an OpenAPI document: %w", err)
	}
	return io.ReadAll(zr)
}
