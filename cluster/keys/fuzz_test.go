package keys

import (
	"encoding/json"
	"testing"
)

// FuzzRecord reads the record of keys in a shared etcd, and plans by it.
func FuzzRecord(f *testing.F) {
	local := map[string][]byte{}
	for _, name := range Files() {
		local[name] = []byte("-----BEGIN X-----\nAAAA\n-----END X-----\n")
	}
	r, err := newRecord(local, "token")
	if err != nil {
		f.Fatal(err)
	}
	whole, err := json.Marshal(r)
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{string(whole), "", "null", "{}", `{"fingerprints":null,"sealed":""}`, `{"fingerprints":{"pki/ca.crt":""},"sealed":"AAAA"}`, `{"sealed":1}`} {
		f.Add([]byte(text), "token")
		f.Add([]byte(text), "another")
	}
	f.Fuzz(func(t *testing.T, text []byte, token string) {
		there := &record{}
		if json.Unmarshal(text, there) != nil {
			return
		}
		for _, mine := range []map[string][]byte{nil, local} {
			if next, foreign := plan(there, mine); next == keep && foreign == "" && mine == nil {
				t.Errorf("keeps keys that are nowhere: %+v", there)
			}
		}
		if files, err := there.open(token); err == nil && token != "token" {
			t.Errorf("another token opened %v", files)
		}
	})
}
