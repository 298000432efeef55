package pki

import (
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"testing"
	"time"
)

// FuzzSign signs requests. No field of a request gets into the certificate.
func FuzzSign(f *testing.F) {
	now := time.Now()
	authority, err := Open(f.TempDir(), now)
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(nil, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}}, DNSNames: []string{"kubernetes"},
	}, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		f.Fatal(err)
	}
	whole := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	for _, data := range [][]byte{whole, nil, whole[:len(whole)/2], pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST"}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der[:50]}), pem.EncodeToMemory(&pem.Block{Type: "X", Bytes: der})} {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		text, err := authority.Sign(data, Request{User: "system:node:a", Groups: []string{"system:nodes"}, Hosts: []string{"a"}}, now)
		if err != nil {
			return
		}
		cert, err := parseCertificate(text)
		if err != nil {
			t.Fatalf("signed what is no certificate: %v", err)
		}
		if cert.Subject.CommonName != "system:node:a" || len(cert.Subject.Organization) != 1 || len(cert.DNSNames) != 1 || cert.IsCA || cert.NotAfter.After(authority.NotAfter()) {
			t.Errorf("signed %+v", cert.Subject)
		}
	})
}

// FuzzPair reads files of a certificate and its key.
func FuzzPair(f *testing.F) {
	authority, err := Open(f.TempDir(), time.Now())
	if err != nil {
		f.Fatal(err)
	}
	pair, err := authority.Certificate(Request{Name: "a", User: "a"}, time.Now())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(pair.Cert, pair.Key)
	f.Add(authority.PEM, pair.Key)
	f.Add(pair.Key, pair.Cert)
	f.Add([]byte(nil), []byte("-----BEGIN EC PRIVATE KEY-----\n-----END EC PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		_, _ = parseKey(key)
		c, err := parseCertificate(cert)
		if (c == nil) == (err == nil) {
			t.Errorf("reads %v, %v", c, err)
		}
		leaf, err := parse(Pair{Cert: cert, Key: key})
		if (leaf == nil) == (err == nil) {
			t.Errorf("reads %v, %v", leaf, err)
		}
		authority.problem(Pair{Cert: cert, Key: key}, Request{Name: "a"}, time.Now())
	})
}
