package sides

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// keys are those that both servers share: so a token or certificate is the same
// to both.
type keys struct {
	caFile, signing string
	ca              *x509.Certificate
	caKey           crypto.Signer
	admin           tls.Certificate
}

func newKeys(dir string) (*keys, error) {
	k := &keys{caFile: filepath.Join(dir, "ca.crt"), signing: filepath.Join(dir, "service-account.key")}
	var err error
	if k.caKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	ca := &x509.Certificate{Subject: pkix.Name{CommonName: "differential"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := k.sign(ca, ca, k.caKey.Public())
	if err != nil {
		return nil, err
	}
	if k.ca, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	if err := writePEM(k.caFile, "CERTIFICATE", der); err != nil {
		return nil, err
	}
	signing, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	if err := writePEM(k.signing, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(signing)); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	admin := &x509.Certificate{Subject: pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err = k.sign(admin, k.ca, key.Public())
	k.admin = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return k, err
}

func (k *keys) sign(cert, parent *x509.Certificate, public crypto.PublicKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	cert.SerialNumber, cert.NotBefore, cert.NotAfter = serial, time.Now().Add(-time.Hour), time.Now().Add(240*time.Hour)
	return x509.CreateCertificate(rand.Reader, cert, parent, public, k.caKey)
}

// server writes a certificate of a server into a directory, under the names
// that --cert-dir has.
func (k *keys) server(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making a directory of certificates: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	der, err := k.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "kube-apiserver"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, k.ca, key.Public())
	if err != nil {
		return fmt.Errorf("signing a certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding a key: %w", err)
	}
	if err := writePEM(filepath.Join(dir, "apiserver.key"), "PRIVATE KEY", private); err != nil {
		return err
	}
	return writePEM(filepath.Join(dir, "apiserver.crt"), "CERTIFICATE", der)
}

// client returns the administrator's side of TLS.
func (k *keys) client() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(k.ca)
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{k.admin}}
}

func writePEM(path, kind string, der []byte) error {
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
