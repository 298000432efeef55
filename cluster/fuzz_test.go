package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coracle-k8s/coracle/cluster/datadir"
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

// FuzzAgentIdentity reads the key and certificate of an agent's data directory.
func FuzzAgentIdentity(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	dir := f.TempDir()
	if err := (&agentIdentity{key: key}).write(dir); err != nil {
		f.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "pki", clientFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text, []byte("x"))
	f.Add(text[:len(text)/2], []byte(nil))
	f.Add(append(text, "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"...), []byte("-----BEGIN"))
	f.Add([]byte("-----BEGIN EC PRIVATE KEY-----\n-----END EC PRIVATE KEY-----\n"), []byte(nil))
	f.Fuzz(func(t *testing.T, client, authority []byte) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "pki"), 0o700); err != nil {
			t.Fatal(err)
		}
		for name, data := range map[string][]byte{clientFile: client, authorityFile: authority} {
			if err := os.WriteFile(filepath.Join(dir, "pki", name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		id, err := readAgentIdentity(dir)
		if (id == nil) == (err == nil) {
			t.Fatalf("reads %v, %v", id, err)
		}
		if id == nil {
			return
		}
		if id.key == nil {
			t.Error("an identity without a key")
		}
		if pin, err := id.pin(); err == nil && id.cert == nil && id.good("a", pin, time.Now()) {
			t.Error("an identity without a certificate is good")
		}
	})
}

// FuzzJoinAnswer reads what a server answers to an agent that joins.
func FuzzJoinAnswer(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	const empty = "-----BEGIN CERTIFICATE-----\\nMAA=\\n-----END CERTIFICATE-----\\n"
	for _, text := range []string{"", "null", "{}", "[]", `{"ca":"","clientCert":""}`, `{"ca":"` + empty + `","clientCert":"` + empty + `","serverCert":"` + empty + `"}`, `{"clusterDNS":[null]}`} {
		f.Add([]byte(text), 200, "")
		f.Add([]byte(text), 409, "5")
	}
	f.Fuzz(func(t *testing.T, text []byte, code int, after string) {
		j := &joiner{}
		_ = j.verdict(&http.Response{StatusCode: code, Header: http.Header{"Retry-After": {after}}}, string(text))
		m := &membership{}
		if json.Unmarshal(text, &m.joinResponse) != nil {
			return
		}
		if err := m.complete(key, key); err == nil && (m.client.Leaf == nil || m.serving.Leaf == nil) {
			t.Errorf("%q makes a member without certificates", text)
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
		r := httptest.NewRequest(method, joinPath, strings.NewReader(body))
		r.RemoteAddr = from
		c.serveJoin(w, r)
		if w.Code < 400 || w.Code >= 500 {
			t.Errorf("%q is answered with %d: %s", body, w.Code, w.Body)
		}
		_, _ = requestedKey(body)
	})
}
