package aggregator

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzOnly cuts the OpenAPI documents of other servers down to one group.
func FuzzOnly(f *testing.F) {
	for _, text := range []string{
		"", "null", "{}", "[]", `{"paths":null,"definitions":null}`, `{"paths":{"/apis/a.b/v1/x":{"$ref":"#/definitions/A"},"/apis/a.b/v1":{}},"definitions":{"A":{"$ref":"#/definitions/B"},"B":{"$ref":"#/definitions/A"},"C":{}}}`,
		`{"paths":{"/apis/a.b/v1/":null},"definitions":{"A":null}}`, `{"paths":{"/apis/a.b/v1/":"\"#/definitions/A\""}}`,
	} {
		f.Add([]byte(text))
	}
	const prefix = "/apis/a.b/v1/"
	f.Fuzz(func(t *testing.T, whole []byte) {
		part, err := only(whole, prefix)
		if err != nil {
			return
		}
		var doc struct {
			Paths map[string]json.RawMessage `json:"paths"`
		}
		if err := json.Unmarshal(part, &doc); err != nil {
			t.Fatal(err)
		}
		for path := range doc.Paths {
			if !strings.HasPrefix(path+"/", prefix) {
				t.Errorf("keeps %q", path)
			}
		}
		again, err := only(part, prefix)
		if err != nil || string(again) != string(part) {
			t.Errorf("%s is cut to %s, %v", part, again, err)
		}
	})
}
