// Package samples reads the objects that the plan of requests begins with.
package samples

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// Sample is an object to begin with.
type Sample struct {
	schema.GroupVersionKind
	// Body is its JSON.
	Body []byte
	// Bad is set if it was refused when it was recorded.
	Bad bool
}

// Read reads the objects of YAML files, and those of recorded exchanges
// from files whose names end in .json.gz.
func Read(files ...string) (out []Sample, err error) {
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading samples: %w", err)
		}
		read := Documents
		if strings.HasSuffix(file, ".json.gz") {
			read = exchanges
		}
		some, err := read(data)
		if err != nil {
			return nil, fmt.Errorf("reading samples of %s: %w", file, err)
		}
		out = append(out, some...)
	}
	return out, nil
}

// Documents reads the objects of a YAML file.
func Documents(data []byte) (out []Sample, err error) {
	for _, doc := range strings.Split(string(data), "\n---\n") {
		body, err := yaml.YAMLToJSON([]byte(doc))
		if err != nil {
			return nil, err
		}
		if s, ok := sample(body); ok {
			out = append(out, s)
		}
	}
	return out, nil
}

func exchanges(data []byte) (out []Sample, err error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var cases []struct {
		Exchanges []struct {
			Method string
			Code   int
			Body   json.RawMessage
		}
	}
	if err := json.NewDecoder(unzipped).Decode(&cases); err != nil {
		return nil, err
	}
	for _, c := range cases {
		for _, e := range c.Exchanges {
			if s, ok := sample(e.Body); ok && e.Method == http.MethodPost {
				s.Bad = e.Code >= http.StatusBadRequest
				out = append(out, s)
			}
		}
	}
	return out, nil
}

func sample(body []byte) (Sample, bool) {
	var meta struct{ APIVersion, Kind string }
	if json.Unmarshal(body, &meta) != nil || meta.Kind == "" || strings.HasSuffix(meta.Kind, "List") {
		return Sample{}, false
	}
	return Sample{GroupVersionKind: schema.FromAPIVersionAndKind(meta.APIVersion, meta.Kind), Body: body}, true
}
