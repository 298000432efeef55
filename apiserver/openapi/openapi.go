// Package openapi serves the API's description and merge schemas from
// documents that were rendered when the program was built: rendering them at
// run time costs 0.2 s and 70 MB.
//
// `make generate` renders them again (see gen/).
//
// The API of this package is not stable: see docs/api.md.
package openapi

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"strings"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	openapi_v3 "github.com/google/gnostic-models/openapiv3"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/server/mux"
)

//go:generate go run -tags openapigen ./gen

//go:embed data
var data embed.FS

// Document names within data.
const (
	typesFile         = "data/types.txt"
	indexFile         = "data/index.json"
	v2File            = "data/v2.json.gz"
	optionalTypesFile = "data/optional/types.txt"
	optionalIndexFile = "data/optional/index.json"
)

// Documents are the rendered descriptions of the built-in API.
type Documents struct {
	types   *TypeConverter
	builtIn builtIn
	sources sources
}

// New reads nothing yet. serves reports whether a built-in resource is served; nil
// stands for those of stable versions.
func New(serves func(schema.GroupVersionResource) bool) *Documents {
	return &Documents{types: newTypeConverter(text(typesFile), text(optionalTypesFile)), builtIn: builtIn{serves: serves}}
}

func text(name string) string {
	b, err := fs.ReadFile(data, name)
	if err != nil {
		panic("openapi: embedded file is missing: " + name) // cannot be: go:embed checked it
	}
	return string(b)
}

// TypeConverter returns the merge schema of the built-in kinds.
func (d *Documents) TypeConverter() *TypeConverter { return d.types }

// AddSource adds documents of resources that are not built in. It must be
// called before Install.
func (d *Documents) AddSource(s Source) { d.sources.list = append(d.sources.list, s) }

// Index holds the place where each group version's document is: URL path below
// /openapi/v3 to file and hash.
type Index map[string]Entry

// Entry is one document of the index.
type Entry struct {
	File string `json:"file"`
	Hash string `json:"hash"`
	// V2 is the file of its OpenAPI v2 document, if v2File does not include it.
	V2 string `json:"v2,omitempty"`
	// Resources are those that it describes.
	Resources []string `json:"resources,omitempty"`

	// hidden are Resources that are not served.
	hidden []string
}

// Install serves /openapi/v2 and /openapi/v3.
func (d *Documents) Install(m *mux.PathRecorderMux) {
	m.HandleFunc("/openapi/v2", d.serveV2)
	m.HandleFunc("/openapi/v3", d.serveIndex)
	m.HandlePrefix("/openapi/v3/", http.HandlerFunc(d.serveV3))
}

const (
	mediaV2 = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
	mediaV3 = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"
)

func (d *Documents) serveV2(w http.ResponseWriter, r *http.Request) {
	base, err := d.builtIn.v2()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	data, hash, err := d.sources.v2(base)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	serve(w, r, rendered{data, hash, mediaV2, func(b []byte) (proto.Message, error) { return openapi_v2.ParseDocument(b) }})
}

func (d *Documents) serveIndex(w http.ResponseWriter, r *http.Request) {
	i, err := d.builtIn.documents()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	type item struct {
		URL string `json:"serverRelativeURL"`
	}
	paths := map[string]item{}
	for path, document := range d.sources.documents() {
		paths[path] = item{URL: "/openapi/v3/" + path + "?hash=" + document.Hash}
	}
	for path, e := range i {
		paths[path] = item{URL: "/openapi/v3/" + path + "?hash=" + e.Hash}
	}
	w.Header().Set("Content-Type", "application/json")
	// A failed write is the client's going away.
	_ = json.NewEncoder(w).Encode(map[string]any{"paths": paths})
}

func (d *Documents) serveV3(w http.ResponseWriter, r *http.Request) {
	i, err := d.builtIn.documents()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/openapi/v3/")
	e, ok := i[path]
	read := e.v3
	if !ok {
		var document Document
		if document, ok = d.sources.documents()[path]; ok {
			e.Hash = document.Hash
			read = func() ([]byte, error) {
				plain, err := document.V3()
				if err != nil {
					return nil, err
				}
				return compress(plain)
			}
		}
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	if hash := r.URL.Query().Get("hash"); hash != "" {
		if hash != e.Hash {
			http.Redirect(w, r, "/openapi/v3/"+path+"?hash="+e.Hash, http.StatusMovedPermanently) //nolint:gosec // path is one of the documents'
			return
		}
		w.Header().Set("Cache-Control", "public, immutable")
		w.Header().Del("Expires")
	}
	data, err := read()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	serve(w, r, rendered{data, e.Hash, mediaV3, func(b []byte) (proto.Message, error) { return openapi_v3.ParseDocument(b) }})
}

// rendered is a document to answer with.
type rendered struct {
	compressed []byte
	hash       string
	protoMedia string
	parse      func([]byte) (proto.Message, error)
}

// serve answers with the gzipped JSON, or with protobuf made from it for
// clients that insist.
func serve(w http.ResponseWriter, r *http.Request, d rendered) {
	w.Header().Add("Vary", "Accept")
	w.Header().Add("Vary", "Accept-Encoding")
	media := negotiate(r.Header.Get("Accept"), d.protoMedia)
	if media == "" {
		http.Error(w, "406 Not Acceptable: ask for application/json or "+d.protoMedia, http.StatusNotAcceptable)
		return
	}
	w.Header().Set("Etag", `"`+d.hash+`"`)
	if strings.Contains(r.Header.Get("If-None-Match"), `"`+d.hash+`"`) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	// The @ that the name has in requests is not allowed in a media type, and
	// clients that parse the answer's stumble over it.
	w.Header().Set("Content-Type", strings.Replace(media, "@", ".", 1))
	if media != d.protoMedia && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(d.compressed) // a failed write is the client's going away
		return
	}
	plain, err := gunzip(d.compressed)
	if err == nil && media == d.protoMedia {
		var m proto.Message
		if m, err = d.parse(plain); err == nil {
			plain, err = proto.Marshal(m)
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(plain)
}

// negotiate picks the first acceptable type in the client's order.
func negotiate(accept, protoMedia string) string {
	if accept == "" {
		return "application/json"
	}
	for part := range strings.SplitSeq(accept, ",") {
		media, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		switch media {
		case "application/json", "*/*", "application/*":
			return "application/json"
		case protoMedia, strings.Replace(protoMedia, "@", ".", 1):
			return protoMedia
		}
	}
	return ""
}
