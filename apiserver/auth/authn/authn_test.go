package authn_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/coracle-k8s/coracle/apiserver/auth/authn"
)

// selfSigned makes a client certificate that is its own root.
func selfSigned(t *testing.T) *x509.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "jane", Organization: []string{"devs"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true,
	}, &x509.Certificate{Subject: pkix.Name{CommonName: "jane", Organization: []string{"devs"}}, SerialNumber: big.NewInt(1)}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestAuthenticate(t *testing.T) {
	g := NewWithT(t)
	cert, stranger := selfSigned(t), selfSigned(t)
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	static, err := authn.NewStatic(map[string]user.Info{"secret": &user.DefaultInfo{Name: "admin", Groups: []string{user.SystemPrivilegedGroup}}})
	g.Expect(err).NotTo(HaveOccurred())
	a := authn.New(authn.Config{
		ClientCA: func() (x509.VerifyOptions, bool) {
			return x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, true
		},
		Tokens:    []authenticator.Token{static},
		Audiences: authenticator.Audiences{"api"},
	})
	with := func(path string, change func(*http.Request)) *http.Request {
		r := httptest.NewRequest("GET", path, nil)
		if change != nil {
			change(r)
		}
		return r
	}
	bearer := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	presents := func(c *x509.Certificate) func(*http.Request) {
		return func(r *http.Request) { r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}} }
	}
	for name, tc := range map[string]struct {
		request *http.Request
		user    string // empty: refused
		groups  []string
	}{
		"nobody":           {with("/api", nil), "", nil},
		"nobody's version": {with("/version", nil), "", nil},
		"health":           {with("/readyz", nil), "system:anonymous", []string{"system:unauthenticated"}},
		"not below health": {with("/readyz/etcd", nil), "", nil},
		"static":           {with("/api", bearer("secret")), "admin", []string{"system:masters", "system:authenticated"}},
		"wrong token":      {with("/api", bearer("guess")), "", nil},
		"wrong at health":  {with("/readyz", bearer("guess")), "", nil},
		"certificate":      {with("/api", presents(cert)), "jane", []string{"devs", "system:authenticated"}},
		"unknown root":     {with("/api", presents(stranger)), "", nil},
		"forged header":    {with("/api", func(r *http.Request) { r.Header.Set("X-Remote-User", "root") }), "", nil},
	} {
		res, ok, err := a.AuthenticateRequest(tc.request)
		if ok != (tc.user != "") {
			t.Errorf("%s: %v %v", name, ok, err)
			continue
		}
		if ok {
			g.Expect(res.User.GetName()).To(Equal(tc.user), name)
			g.Expect(res.User.GetGroups()).To(Equal(tc.groups), name)
		}
	}
}
