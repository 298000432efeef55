// Package pki keeps a cluster's certificates and keys in its data directory.
//
// Everything is ECDSA P-256. Keys are 0600 in a 0700 directory.
//
// Invariants:
//
//  1. An authority and the service account key are made once and never replaced.
//     The key is written before the certificate: a key alone is an authority
//     that is still being made, a certificate alone one whose key was lost.
//  2. Certificates signed by an authority are made again whenever they cannot be
//     used, with a call of Report.
//
// The API of this package is not stable: see docs/api.md.
package pki

import (
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

	"github.com/coracle-k8s/coracle/apiserver/datafile"
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
	// made is set if it was made by Open.
	made bool
	// PEM is the authority's certificate.
	PEM []byte
	// Report takes a phrase for each certificate that had to be made again. Nil
	// discards it.
	Report func(string)
}

// Pair is a certificate and its key, PEM.
type Pair struct{ Cert, Key []byte }

// Open reads the authority in dir, making it when dir has none.
func Open(dir string, now time.Time) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the certificate directory: %w", err)
	}
	if err := datafile.RemoveTemporary(dir); err != nil {
		return nil, fmt.Errorf("removing what was not completed: %w", err)
	}
	a, err := read(dir, now)
	if !errors.Is(err, fs.ErrNotExist) {
		return a, err
	}
	if err := makeAuthority(dir, now); err != nil {
		return nil, fmt.Errorf("making a certificate authority in %s: %w", dir, err)
	}
	if a, err = read(dir, now); err != nil {
		return nil, fmt.Errorf("reading the certificate authority just made: %w", err)
	}
	a.made = true
	return a, nil
}

// Check returns what is wrong with the files in dir of an authority, if any; none
// at all is not wrong. It writes nothing.
func Check(dir string, now time.Time) error {
	if _, err := read(dir, now); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, pattern := range []string{"*.key", "*.crt"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return fmt.Errorf("looking for keys: %w", err)
		}
		for _, name := range names {
			if err := datafile.Check(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// read returns the authority in dir; fs.ErrNotExist means that there is none yet,
// or a key alone.
func read(dir string, now time.Time) (*Authority, error) {
	certFile, keyFile := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
	keyData, keyErr := datafile.Read(keyFile)
	if keyErr != nil && !errors.Is(keyErr, fs.ErrNotExist) {
		return nil, keyErr
	}
	certData, err := datafile.Read(certFile)
	if err != nil {
		return nil, err
	}
	if keyErr != nil {
		return nil, datafile.Lost(keyFile, "is missing beside "+certFile)
	}
	cert, err := parseCertificate(certData)
	if err != nil {
		return nil, datafile.Lost(certFile, fmt.Sprintf("is damaged (%v)", err))
	}
	// The signature is the certificate's own: it detects any change.
	if err := cert.CheckSignatureFrom(cert); err != nil {
		return nil, datafile.Lost(certFile, "is damaged (its signature does not match)")
	}
	key, err := parseKey(keyData)
	if err != nil {
		return nil, datafile.Lost(keyFile, fmt.Sprintf("is damaged (%v)", err))
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, datafile.Lost(keyFile, "is not the key of "+certFile)
	}
	switch {
	case now.After(cert.NotAfter):
		return nil, &datafile.Error{Path: certFile, Problem: "expired on " + cert.NotAfter.Format(time.DateOnly),
			Advice: "check this machine's clock, or start over with coracle reset"}
	case now.Before(cert.NotBefore):
		return nil, &datafile.Error{Path: certFile, Problem: "is not valid before " + cert.NotBefore.Format(time.RFC3339),
			Advice: "check this machine's clock"}
	}
	return &Authority{dir: dir, cert: cert, key: key, PEM: certData}, nil
}

// makeAuthority makes what is missing: a key that is already there is used.
func makeAuthority(dir string, now time.Time) error {
	maker := &Authority{dir: dir}
	key, err := maker.Key("ca")
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "coracle"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(authorityLife),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, IsCA: true, BasicConstraintsValid: true,
	}
	pair, err := sign(template, template, key, key)
	if err != nil {
		return err
	}
	return datafile.Write(filepath.Join(dir, "ca.crt"), pair.Cert)
}

// Request holds what a certificate is for.
type Request struct {
	// Name of the files in the directory, without ending.
	Name string
	// User and Groups identify the client.
	User   string
	Groups []string
	// Hosts are the names and IP addresses of a server; without any the
	// certificate is for clients only.
	Hosts []string
}

// Certificate returns the stored certificate for r, making it again when it is
// missing, damaged or of another authority, expires within 30 days or names other
// hosts.
func (a *Authority) Certificate(r Request, now time.Time) (Pair, error) {
	pair, problem, err := a.stored(r, now)
	if err != nil {
		return Pair{}, fmt.Errorf("reading certificate %s: %w", r.Name, err)
	}
	if problem == "" {
		return pair, nil
	}
	if !a.made && a.Report != nil {
		a.Report(fmt.Sprintf("making %s, which %s", filepath.Join(a.dir, r.Name+".crt"), problem))
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
// The caller has checked the contents of t.
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

// NotAfter returns when the authority's own certificate ends.
func (a *Authority) NotAfter() time.Time { return a.cert.NotAfter }

// Pool trusts the authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Key returns the named private key, making it on first use: the service
// account key is one. The PEM is SEC 1.
func (a *Authority) Key(name string) (*ecdsa.PrivateKey, error) {
	file := filepath.Join(a.dir, name+".key")
	data, err := datafile.Read(file)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("making key %s: %w", name, err)
		}
		data, err := keyPEM(key)
		if err != nil {
			return nil, err
		}
		return key, datafile.Write(file, data)
	}
	if err != nil {
		return nil, err
	}
	key, err := parseKey(data)
	if err != nil {
		return nil, datafile.Lost(file, fmt.Sprintf("is damaged (%v)", err))
	}
	return key, nil
}

// TLS returns the pair as crypto/tls wants it.
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

// stored reads the certificate for r; problem is why it has to be made again.
func (a *Authority) stored(r Request, now time.Time) (p Pair, problem string, err error) {
	for ending, data := range map[string]*[]byte{".crt": &p.Cert, ".key": &p.Key} {
		path := filepath.Join(a.dir, r.Name+ending)
		if err := datafile.Check(path); errors.Is(err, fs.ErrNotExist) {
			problem = "is missing"
			continue
		} else if err != nil {
			return p, "", err
		}
		if *data, err = os.ReadFile(path); err != nil {
			return p, "", err
		}
	}
	if problem == "" {
		problem = a.problem(p, r, now)
	}
	return p, problem, nil
}

// problem returns why a certificate is not usable for r, empty if it is.
func (a *Authority) problem(p Pair, r Request, now time.Time) string {
	cert, err := parse(p)
	want := template(r, now)
	switch {
	case err != nil:
		return "is damaged or not of its key"
	case cert.CheckSignatureFrom(a.cert) != nil:
		return "is not signed by the authority beside it"
	case now.After(cert.NotAfter):
		return "expired on " + cert.NotAfter.Format(time.DateOnly)
	case now.Add(renewBefore).After(cert.NotAfter):
		return "expires on " + cert.NotAfter.Format(time.DateOnly)
	case now.Before(cert.NotBefore):
		return "is not valid yet"
	case cert.Subject.CommonName != r.User || !slices.Equal(cert.Subject.Organization, r.Groups) ||
		!slices.Equal(cert.DNSNames, want.DNSNames) || !slices.EqualFunc(cert.IPAddresses, want.IPAddresses, net.IP.Equal):
		return "is for other names"
	}
	return ""
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
	if block == nil || block.Type != "EC PRIVATE KEY" {
		return nil, errors.New("no PEM block of a key")
	}
	return x509.ParseECPrivateKey(block.Bytes)
}

func parseCertificate(data []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no PEM block of a certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

func parse(p Pair) (*x509.Certificate, error) {
	pair, err := p.TLS()
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(pair.Certificate[0])
}

// write stores the key first: a certificate without its key is never seen.
func (a *Authority) write(name string, p Pair) error {
	if err := datafile.Write(filepath.Join(a.dir, name+".key"), p.Key); err != nil {
		return err
	}
	return datafile.Write(filepath.Join(a.dir, name+".crt"), p.Cert)
}
