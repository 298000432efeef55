package aggregator

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/coracle-k8s/coracle/apiserver/openapi"
)

// document is the address and the hash of a server's description of its group.
type document struct{ url, hash string }

var _ openapi.Source = &Server{}

// Documents implements openapi.Source.
func (s *Server) Documents() map[string]openapi.Document {
	s.mu.RLock()
	defer s.mu.RUnlock()
	documents := map[string]openapi.Document{}
	for _, r := range s.remotes {
		d := r.docs.Load()
		if d == nil || !r.available.Load() {
			continue
		}
		documents["apis/"+r.gv.String()] = openapi.Document{
			Hash: d.hash,
			V3:   func() ([]byte, error) { return r.fetch(d.url) },
			V2: func() ([][]byte, error) {
				whole, err := r.fetch("/openapi/v2")
				if err != nil {
					return nil, err
				}
				part, err := only(whole, "/apis/"+r.gv.String()+"/")
				return [][]byte{part}, err
			},
		}
	}
	return documents
}

func (r *remote) fetch(relative string) ([]byte, error) {
	u, err := url.Parse(relative)
	if err != nil {
		return nil, fmt.Errorf("reading a document's address: %w", err)
	}
	body, _, err := r.get(context.Background(), u.Path, u.RawQuery)
	return body, err
}

// describe notes where the server describes its group. One that does not is
// served without.
func (r *remote) describe(ctx context.Context) {
	body, _, err := r.get(ctx, "/openapi/v3", "")
	if err != nil {
		r.docs.Store(nil)
		return
	}
	var index struct {
		Paths map[string]struct {
			URL string `json:"serverRelativeURL"`
		} `json:"paths"`
	}
	entry, ok := index.Paths[""], false
	if json.Unmarshal(body, &index) == nil {
		entry, ok = index.Paths["apis/"+r.gv.String()]
	}
	if !ok {
		r.docs.Store(nil)
		return
	}
	d := &document{url: entry.URL, hash: entry.URL}
	if u, err := url.Parse(entry.URL); err == nil && u.Query().Get("hash") != "" {
		d.hash = u.Query().Get("hash")
	}
	r.docs.Store(d)
}

var refers = regexp.MustCompile(`"#/definitions/([^"]+)"`)

// only keeps the paths with a prefix of a v2 document, and what they refer to.
func only(whole []byte, prefix string) ([]byte, error) {
	var doc struct {
		Paths       map[string]json.RawMessage `json:"paths"`
		Definitions map[string]json.RawMessage `json:"definitions"`
	}
	if err := json.Unmarshal(whole, &doc); err != nil {
		return nil, fmt.Errorf("reading an OpenAPI document: %w", err)
	}
	paths, definitions := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	var todo []json.RawMessage
	for path, p := range doc.Paths {
		if strings.HasPrefix(path, prefix) || path+"/" == prefix {
			paths[path] = p
			todo = append(todo, p)
		}
	}
	for len(todo) > 0 {
		text := todo[0]
		todo = todo[1:]
		for _, match := range refers.FindAllSubmatch(text, -1) {
			name := string(match[1])
			if d, ok := doc.Definitions[name]; ok && definitions[name] == nil {
				definitions[name] = d
				todo = append(todo, d)
			}
		}
	}
	return json.Marshal(map[string]any{"paths": paths, "definitions": definitions})
}
