package controlplane

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	jose "gopkg.in/go-jose/go-jose.v2"
	"gopkg.in/go-jose/go-jose.v2/jwt"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// other returns another server of the world around a cluster. It keeps no
// connection, so that a stopped cluster has none.
func other(h http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(h)
	server.Config.SetKeepAlivesEnabled(false)
	server.StartTLS()
	DeferCleanup(server.Close)
	return server
}

func certificateOf(server *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

// webhookKubeconfig writes a kubeconfig that leads to a server.
func webhookKubeconfig(dir string, server *httptest.Server) string {
	GinkgoHelper()
	config := clientcmdapi.NewConfig()
	config.Clusters["it"] = &clientcmdapi.Cluster{Server: server.URL, CertificateAuthorityData: []byte(certificateOf(server))}
	config.AuthInfos["us"] = &clientcmdapi.AuthInfo{}
	config.Contexts["it"] = &clientcmdapi.Context{Cluster: "it", AuthInfo: "us"}
	config.CurrentContext = "it"
	f, err := os.CreateTemp(dir, "kubeconfig")
	Expect(err).NotTo(HaveOccurred())
	Expect(f.Close()).To(Succeed())
	Expect(clientcmd.WriteToFile(*config, f.Name())).To(Succeed())
	return f.Name()
}

// issuer is an OIDC issuer.
type issuer struct {
	*httptest.Server
	key *ecdsa.PrivateKey
}

func newIssuer() *issuer {
	GinkgoHelper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	i := &issuer{key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys"})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "one", Algorithm: "ES256", Use: "sig"}}})
	})
	i.Server = other(mux)
	return i
}

// token signs claims, besides which it is good for an hour.
func (i *issuer) token(claims map[string]any) string {
	GinkgoHelper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: i.key, KeyID: "one"}}, nil)
	Expect(err).NotTo(HaveOccurred())
	all := map[string]any{"iss": i.URL, "aud": "cluster", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix()}
	for k, v := range claims {
		all[k] = v
	}
	token, err := jwt.Signed(signer).Claims(all).CompactSerialize()
	Expect(err).NotTo(HaveOccurred())
	return token
}

// review is a webhook that answers reviews: decide gets spec and gives status.
type review struct {
	*httptest.Server
	asked atomic.Int32
}

func newReview(decide func(spec map[string]any) map[string]any) *review {
	r := &review{}
	r.Server = other(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.asked.Add(1)
		var object map[string]any
		if err := json.NewDecoder(req.Body).Decode(&object); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		spec, _ := object["spec"].(map[string]any)
		object["status"] = decide(spec)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(object)
	}))
	return r
}

// authority signs client certificates that are not the cluster's.
type authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

func newAuthority(name string) *authority {
	GinkgoHelper()
	a := &authority{}
	a.certificate, a.key = issue(pkix.Name{CommonName: name}, nil)
	return a
}

func (a *authority) file(dir string) string {
	GinkgoHelper()
	path := filepath.Join(dir, a.certificate.Subject.CommonName+".crt")
	Expect(os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw}), 0o600)).To(Succeed())
	return path
}

// issue makes a certificate, of an authority if by is nil.
func issue(subject pkix.Name, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	GinkgoHelper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: subject, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	parent, signer := template, key
	if by == nil {
		template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
	} else {
		parent, signer = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	Expect(err).NotTo(HaveOccurred())
	certificate, err := x509.ParseCertificate(der)
	Expect(err).NotTo(HaveOccurred())
	return certificate, key
}
