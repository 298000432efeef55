package agent

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

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
		j := &Joiner{}
		_ = j.verdict(&http.Response{StatusCode: code, Header: http.Header{"Retry-After": {after}}}, string(text))
		m := &Membership{}
		if json.Unmarshal(text, &m.WireResponse) != nil {
			return
		}
		if err := m.complete(key, key); err == nil && (m.Client.Leaf == nil || m.Serving.Leaf == nil) {
			t.Errorf("%q makes a member without certificates", text)
		}
	})
}
