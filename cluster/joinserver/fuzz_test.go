package joinserver

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coracle-k8s/coracle/cluster/joins"
)

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
		s, w := New(Config{}), httptest.NewRecorder()
		r := httptest.NewRequest(method, joins.Path, strings.NewReader(body))
		r.RemoteAddr = from
		s.ServeHTTP(w, r)
		if w.Code < 400 || w.Code >= 500 {
			t.Errorf("%q is answered with %d: %s", body, w.Code, w.Body)
		}
		_, _ = requestedKey(body)
	})
}
