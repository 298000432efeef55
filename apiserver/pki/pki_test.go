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
	cert, err := parse(more)
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

func TestLostAuthorityIsAnErrorAndNotReplaced(t *testing.T) {
	for _, c := range []struct {
		file, problem string
		damage        func(path string) error
	}{
		{"ca.key", "is missing beside", os.Remove},
		{"ca.crt", "is damaged", func(path string) error { return os.WriteFile(path, []byte("rubbish"), 0o600) }},
		{"ca.key", "is damaged", func(path string) error { return os.WriteFile(path, []byte("rubbish"), 0o600) }},
		{"ca.key", "is empty", func(path string) error { return os.Truncate(path, 0) }},
		{"ca.key", "is open to other users (mode 0640)", func(path string) error { return os.Chmod(path, 0o640) }},
		{"ca.key", "is not the key of", func(path string) error {
			return os.Rename(filepath.Join(open(t, t.TempDir()).dir, "ca.key"), path)
		}},
	} {
		t.Run(c.file+" "+c.problem, func(t *testing.T) {
			g := NewWithT(t)
			dir := t.TempDir()
			open(t, dir)
			g.Expect(c.damage(filepath.Join(dir, c.file))).To(Succeed())
			before := contents(t, dir)
			for range 2 {
				_, err := Open(dir, now)
				g.Expect(err).To(MatchError(ContainSubstring(filepath.Join(dir, c.file) + " " + c.problem)))
				g.Expect(Check(dir, now)).To(MatchError(err.Error()))
				g.Expect(contents(t, dir)).To(Equal(before))
			}
		})
	}
}

func TestAuthorityOutOfTimeIsAnError(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	open(t, dir)
	_, err := Open(dir, now.Add(authorityLife+time.Hour))
	g.Expect(err).To(MatchError(ContainSubstring("ca.crt expired on 2035-12-31")))
	_, err = Open(dir, now.Add(-2*time.Hour))
	g.Expect(err).To(MatchError(ContainSubstring("check this machine's clock")))
}

// A key alone is of a start that was killed before it wrote the certificate.
func TestAuthorityIsContinuedWithItsKey(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	first := open(t, dir)
	g.Expect(os.Remove(filepath.Join(dir, "ca.crt"))).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(dir, ".tmp-1"), []byte("half"), 0o600)).To(Succeed())
	g.Expect(open(t, dir).cert.PublicKey).To(Equal(first.cert.PublicKey))
	g.Expect(contents(t, dir)).To(And(HaveLen(2), HaveKey("ca.crt"), HaveKey("ca.key")))
}

func TestCertificatesThatCannotBeUsedAreMadeAgain(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	r := Request{Name: "admin", User: "admin"}
	_, err := open(t, dir).Certificate(r, now)
	g.Expect(err).NotTo(HaveOccurred())
	for _, c := range []struct {
		problem string
		damage  func(path string) error
	}{
		{"is missing", os.Remove},
		{"is damaged or not of its key", func(path string) error { return os.Truncate(path, 100) }},
		{"", func(string) error { return nil }},
	} {
		for _, file := range []string{"admin.crt", "admin.key"} {
			g.Expect(c.damage(filepath.Join(dir, file))).To(Succeed())
			a, said := open(t, dir), ""
			a.Report = func(line string) { said += line }
			pair, err := a.Certificate(r, now)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(a.problem(pair, r, now)).To(BeEmpty())
			if c.problem == "" {
				g.Expect(said).To(BeEmpty())
				continue
			}
			g.Expect(said).To(Equal("making " + filepath.Join(dir, "admin.crt") + ", which " + c.problem))
		}
	}
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := os.ReadDir(dir)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	all := map[string]string{}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		all[f.Name()] = string(data)
	}
	return all
}
