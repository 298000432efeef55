package audit

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func TestRotating(t *testing.T) {
	g := NewWithT(t)
	path := filepath.Join(t.TempDir(), "new", "audit.log")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r, err := openRotating(rotation{Path: path, MaxSize: 10, MaxBackups: 2, Compress: true}, func() time.Time { return now })
	g.Expect(err).NotTo(HaveOccurred())
	for _, line := range []string{"one\n", "two\n", "three\n", "longer than a file may be\n", "five\n"} {
		_, err := io.WriteString(r, line)
		g.Expect(err).NotTo(HaveOccurred())
		now = now.Add(time.Second)
	}
	g.Expect(r.Close()).To(Succeed())
	_, err = r.Write(nil)
	g.Expect(errors.Is(err, os.ErrClosed)).To(BeTrue())
	g.Expect(os.ReadFile(path)).To(BeEquivalentTo("five\n"))
	files, _ := filepath.Glob(filepath.Dir(path) + "/*")
	g.Expect(files).To(HaveLen(3), "the file and two old ones")
	g.Expect(files[0]).To(HaveSuffix("audit-2026-01-01T00-00-03.000.log.gz"))
	f, err := os.Open(files[0])
	g.Expect(err).NotTo(HaveOccurred())
	defer f.Close()
	z, err := gzip.NewReader(f)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(io.ReadAll(z)).To(BeEquivalentTo("three\n"))
	info, err := os.Stat(path)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o600)))
}

func TestRotatingForgetsOldAndAppends(t *testing.T) {
	g := NewWithT(t)
	path := filepath.Join(t.TempDir(), "audit.log")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	old := filepath.Join(filepath.Dir(path), "audit-2025-12-01T00-00-00.000.log")
	other := filepath.Join(filepath.Dir(path), "audit-mine.log")
	for _, f := range []string{old, other, path} {
		g.Expect(os.WriteFile(f, []byte("before\n"), 0o600)).To(Succeed())
	}
	r, err := openRotating(rotation{Path: path, MaxSize: 20, MaxAge: 24 * time.Hour}, func() time.Time { return now })
	g.Expect(err).NotTo(HaveOccurred())
	for range 3 {
		_, err := io.WriteString(r, strings.Repeat("x", 9)+"\n")
		g.Expect(err).NotTo(HaveOccurred())
	}
	g.Expect(r.Close()).To(Succeed())
	g.Expect(old).NotTo(BeAnExistingFile())
	g.Expect(other).To(BeAnExistingFile())
	g.Expect(os.ReadFile(filepath.Join(filepath.Dir(path), "audit-2026-01-01T00-00-00.000.log"))).To(BeEquivalentTo("before\nxxxxxxxxx\n"))
}
