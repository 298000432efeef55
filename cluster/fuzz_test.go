package cluster

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coracle-k8s/coracle/cluster/datadir"
	"github.com/coracle-k8s/coracle/cluster/joins"
	"github.com/coracle-k8s/coracle/cluster/keys"
)

// FuzzIdentity reads the file of a data directory that identifies its cluster. One
// that is accepted is what would be written for it.
func FuzzIdentity(f *testing.F) {
	whole := identity{fingerprints: map[string]string{keys.Files()[0]: "abc"}, complete: true}.encode()
	for _, text := range []string{string(whole), "", "\n", identityHead, string(whole[:len(whole)-2]), identityHead + "\n" + sumPrefix + keys.Fingerprint([]byte(identityHead+"\n")) + "\n", strings.Replace(string(whole), "abc", "abd", 1)} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), datadir.IdentityFile)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		i, err := readIdentity(path)
		if err != nil {
			return
		}
		if !i.known || i.complete != i.continued {
			t.Errorf("%q reads %+v", text, i)
		}
		for name := range i.fingerprints {
			if !strings.Contains(string(text), name) {
				t.Errorf("%q names no %s", text, name)
			}
		}
	})
}

// FuzzJoinRequest reads what an agent sends. Without a token or a certificate
// nothing of it matters.
func FuzzJoinRequest(f *testing.F) {
	for _, text := range []string{"", "null", "{}", `{"node":"a","address":"192.0.2.1","clientCSR":"","serverCSR":"x"}`, "[", strings.Repeat(`{"a":`, 1000)} {
		f.Add(text, "POST", "192.0.2.1:80")
		f.Add(text, "GET", "x")
	}
	f.Fuzz(func(t *testing.T, body, method, from string) {
		if method != http.MethodPost && method != http.MethodGet {
			return
		}
		c, w := &Cluster{}, httptest.NewRecorder()
		r := httptest.NewRequest(method, joins.Path, strings.NewReader(body))
		r.RemoteAddr = from
		c.serveJoin(w, r)
		if w.Code < 400 || w.Code >= 500 {
			t.Errorf("%q is answered with %d: %s", body, w.Code, w.Body)
		}
		_, _ = requestedKey(body)
	})
}
