package openapi

import (
	"encoding/json"
	"testing"
)

// FuzzMerge merges documents of other servers into one. The base's paths stay, and a
// document that was merged adds nothing more.
func FuzzMerge(f *testing.F) {
	const base = `{"paths":{"/a":{"$ref":"#/definitions/A"}},"definitions":{"A":{"type":"string"}}}`
	for _, text := range []string{"", "null", "{}", "[]", base, `{"paths":{"/a":1,"/b":{"$ref":"#/definitions/A"}},"definitions":{"A":{"type":"object"},"A_v2":{}}}`, `{"paths":null,"definitions":{"A":null}}`, `{"definitions":[]}`, `{"definitions":{"":{"$ref":"#/definitions/"}}}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, part []byte) {
		m, err := newMerge([]byte(base))
		if err != nil {
			t.Fatal(err)
		}
		if m.add(part) != nil {
			return
		}
		out, err := m.bytes()
		if err != nil || !json.Valid(out) {
			t.Fatalf("%q makes %q, %v", part, out, err)
		}
		if string(m.paths["/a"]) != `{"$ref":"#/definitions/A"}` || string(m.definitions["A"]) != `{"type":"string"}` {
			t.Errorf("%q changed the base to %s", part, out)
		}
	})
}
