// Package pki keeps a cluster's certificates and keys in its data directory.
//
// Everything is ECDSA P-256. Keys are 0600 in a 0700 directory. The
// authority and the service account key are made once; certificates signed by
// it are renewed at start when they are about to expire or their names changed.
package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	authorityLife   = 10 * 365 * 24 * time.Hour
	certificateLife = 365 * 24 * time.Hour
	renewBefore     = 30 * 24 * time.Hour
)

// Authority signs certificates for one cluster.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
	// PEM is the authority's certificate.
	PEM []byte
}

// Pair is a certificate and its key, PEM.
type Pair struct{ Cert, Key []byte }

// Open reads the authority in dir, making it when dir has none.
func Open(dir string, now time.Time) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the certificate directory: %w", err)
	}
	a := &Authority{dir: dir}
	pair, err := a.read("ca")
	if errors.Is(err, fs.ErrNotExist) {
		pair, err = a.makeAuthority(now)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the certificate authority in %s: %w", dir, err)
	}
	if a.cert, a.key, err = parse(pair); err != nil {
		return nil, fmt.Errorf("reading the certificate authority in %s: %w", dir, err)
	}
	a.PEM = pair.Cert
	return a, nil
}

func (a *Authority) makeAuthority(now time.Time) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "coracle"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(authorityLife),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, IsCA: true, BasicConstraintsValid: true,
	}
	pair, err := sign(template, template, key, key)
	if err != nil {
		return Pair{}, err
	}
	return pair, a.write("ca", pair)
}

// Request says what a certificate is for.
type Request struct {
	// Name of the files in the directory, without ending.
	Name string
	// User and Groups are what a client is authenticated as.
	User   string
	Groups []string
	// Hosts are the names and IP addresses of a server; without any the
	// certificate is for clients only.
	Hosts []string
}

// Certificate returns the stored certificate for r, renewing it when it
// expires within 30 days, names other hosts or is of another authority.
func (a *Authority) Certificate(r Request, now time.Time) (Pair, error) {
	pair, err := a.read(r.Name)
	if err == nil && a.valid(pair, r, now) {
		return pair, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Pair{}, fmt.Errorf("reading certificate %s: %w", r.Name, err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("making a key for %s: %w", r.Name, err)
	}
	if pair, err = sign(template(r, now), a.cert, key, a.key); err != nil {
		return Pair{}, fmt.Errorf("signing certificate %s: %w", r.Name, err)
	}
	if err := a.write(r.Name, pair); err != nil {
		return Pair{}, fmt.Errorf("storing certificate %s: %w", r.Name, err)
	}
	return pair, nil
}

// Sign issues a certificate for the public key of a signing request, with the
// identity of r: what the request itself asks for is not trusted.
func (a *Authority) Sign(csrPEM []byte, r Request, now time.Time) ([]byte, error) {
	block, _ := pem.Decode(csrPEM)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("reading a certificate request: no PEM block of type CERTIFICATE REQUEST")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading a certificate request: %w", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("checking a certificate request: %w", err)
	}
	t := template(r, now)
	if err := number(t); err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, csr.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate request: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// Issue completes t with a serial number and signs it for key; it returns PEM.
// Who calls it has checked everything that t says.
func (a *Authority) Issue(t *x509.Certificate, key any) ([]byte, error) {
	if err := number(t); err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// NotAfter is when the authority's own certificate ends.
func (a *Authority) NotAfter() time.Time { return a.cert.NotAfter }

// Pool trusts the authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Key returns the named private key, making it on first use: the service
// account key is one. The PEM is PKCS#8 or SEC 1.
func (a *Authority) Key(name string) (*ecdsa.PrivateKey, error) {
	file := filepath.Join(a.dir, name+".key")
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("making key %s: %w", name, err)
		}
		data, err := keyPEM(key)
		if err != nil {
			return nil, err
		}
		return key, WriteFile(file, data)
	}
	if err != nil {
		return nil, fmt.Errorf("reading key %s: %w", name, err)
	}
	key, err := parseKey(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return key, nil
}

// TLS is the pair as crypto/tls wants it.
func (p Pair) TLS() (tls.Certificate, error) { return tls.X509KeyPair(p.Cert, p.Key) }

func template(r Request, now time.Time) *x509.Certificate {
	t := &x509.Certificate{
		Subject:   pkix.Name{CommonName: r.User, Organization: r.Groups},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if len(r.Hosts) > 0 {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	for _, host := range r.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, host)
		}
	}
	return t
}

func (a *Authority) valid(p Pair, r Request, now time.Time) bool {
	cert, _, err := parse(p)
	if err != nil || now.Add(renewBefore).After(cert.NotAfter) || now.Before(cert.NotBefore) || cert.CheckSignatureFrom(a.cert) != nil {
		return false
	}
	want := template(r, now)
	return cert.Subject.CommonName == r.User && slices.Equal(cert.Subject.Organization, r.Groups) &&
		slices.Equal(cert.DNSNames, want.DNSNames) && slices.EqualFunc(cert.IPAddresses, want.IPAddresses, net.IP.Equal)
}

func number(t *x509.Certificate) error {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return fmt.Errorf("drawing a serial number: %w", err)
	}
	t.SerialNumber = serial
	return nil
}

func sign(t, parent *x509.Certificate, key *ecdsa.PrivateKey, signer crypto.Signer) (Pair, error) {
	if err := number(t); err != nil {
		return Pair{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), signer)
	if err != nil {
		return Pair{}, err
	}
	keyData, err := keyPEM(key)
	return Pair{Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), Key: keyData}, err
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

func parseKey(data []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	return x509.ParseECPrivateKey(block.Bytes)
}

func parse(p Pair) (*x509.Certificate, crypto.Signer, error) {
	pair, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil, nil, err
	}
	return cert, pair.PrivateKey.(crypto.Signer), nil
}

func (a *Authority) read(name string) (Pair, error) {
	cert, err := os.ReadFile(filepath.Join(a.dir, name+".crt"))
	if err != nil {
		return Pair{}, err
	}
	key, err := os.ReadFile(filepath.Join(a.dir, name+".key"))
	return Pair{Cert: cert, Key: key}, err
}

// write stores the key first: a certificate without its key is never seen.
func (a *Authority) write(name string, p Pair) error {
	if err := WriteFile(filepath.Join(a.dir, name+".key"), p.Key); err != nil {
		return err
	}
	return WriteFile(filepath.Join(a.dir, name+".crt"), p.Cert)
}

// WriteFile replaces a file with data, 0600, so that a crash leaves the old or
// the new content.
func WriteFile(path string, data []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
