package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func open(t *testing.T, dir string) *Authority {
	t.Helper()
	a, err := Open(dir, now)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return a
}

func TestCertificatesAreKeptAndRenewed(t *testing.T) {
	g := NewWithT(t)
	dir := filepath.Join(t.TempDir(), "pki")
	r := Request{Name: "apiserver", User: "kube-apiserver", Hosts: []string{"localhost", "127.0.0.1"}}
	first, err := open(t, dir).Certificate(r, now)
	g.Expect(err).NotTo(HaveOccurred())

	// A second process finds the same ones.
	a := open(t, dir)
	again, err := a.Certificate(r, now.Add(time.Hour))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(again).To(Equal(first))

	late, err := a.Certificate(r, now.Add(certificateLife-renewBefore+time.Hour))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(late).NotTo(Equal(first), "about to expire")

	r.Hosts = append(r.Hosts, "10.96.0.1")
	more, err := a.Certificate(r, now)
	g.Expect(err).NotTo(HaveOccurred())
	cert, _, err := parse(more)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(cert.VerifyHostname("10.96.0.1")).To(Succeed())
	_, err = cert.Verify(x509.VerifyOptions{Roots: a.Pool(), CurrentTime: now})
	g.Expect(err).NotTo(HaveOccurred())
}

func TestNothingSecretIsReadableByOthers(t *testing.T) {
	g := NewWithT(t)
	dir := filepath.Join(t.TempDir(), "pki")
	a := open(t, dir)
	_, err := a.Certificate(Request{Name: "admin", User: "admin"}, now)
	g.Expect(err).NotTo(HaveOccurred())
	_, err = a.Key("service-account")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		info, _ := os.Stat(path)
		g.Expect(info.Mode().Perm()&0o077).To(BeZero(), path)
		return err
	})).To(Succeed())
}

func TestKeyIsTheSameNextTime(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	first, err := open(t, dir).Key("service-account")
	g.Expect(err).NotTo(HaveOccurred())
	second, err := open(t, dir).Key("service-account")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(second.Equal(first)).To(BeTrue())
}

func TestSignTrustsTheKeyAlone(t *testing.T) {
	g := NewWithT(t)
	a := open(t, t.TempDir())
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	g.Expect(err).NotTo(HaveOccurred())
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"kubernetes"}}, key)
	g.Expect(err).NotTo(HaveOccurred())
	csr := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})

	signed, err := a.Sign(csr, Request{User: "system:node:a", Groups: []string{"system:nodes"}}, now)
	g.Expect(err).NotTo(HaveOccurred())
	block, _ := pem.Decode(signed)
	cert, err := x509.ParseCertificate(block.Bytes)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(cert.Subject.CommonName).To(Equal("system:node:a"))
	g.Expect(cert.Subject.Organization).To(Equal([]string{"system:nodes"}))
	g.Expect(cert.DNSNames).To(BeEmpty())

	_, err = a.Sign([]byte("no PEM"), Request{}, now)
	g.Expect(err).To(MatchError(ContainSubstring("no PEM block")))
	csr[len(csr)/2] ^= 1
	_, err = a.Sign(csr, Request{}, now)
	g.Expect(err).To(HaveOccurred())
}

func TestDamagedAuthorityIsAnErrorAndNotReplaced(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	open(t, dir)
	g.Expect(os.WriteFile(filepath.Join(dir, "ca.crt"), []byte("rubbish"), 0o600)).To(Succeed())
	_, err := Open(dir, now)
	g.Expect(err).To(MatchError(ContainSubstring(dir)))
	data, _ := os.ReadFile(filepath.Join(dir, "ca.crt"))
	g.Expect(string(data)).To(Equal("rubbish"))
}
