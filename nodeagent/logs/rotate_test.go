package logs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func TestRotateKeepsAsManyFilesAsAllowed(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	log := filepath.Join(dir, "0.log")
	write := func() error { return os.WriteFile(log, []byte("0123456789"), 0o600) }
	g.Expect(write()).To(Succeed())
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 6 {
		g.Expect(Rotate(log, Policy{MaxSize: 10, MaxFiles: 3}, now.Add(time.Duration(i)*time.Minute), write)).To(Succeed())
	}
	files, _ := filepath.Glob(log + "*")
	g.Expect(files).To(Equal([]string{log, log + ".20260101-000400.000000.gz", log + ".20260101-000500.000000"}))
	g.Expect(Rotate(log, Policy{MaxSize: 11, MaxFiles: 3}, now, nil)).To(Succeed(), "a small log stays")
}

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"0.log", "0.log.20260102-150405.000000", "0.log.20260101-150405.000000.gz", "0.log.20260103-150405.000000.gz.tmp", "10.log", "1.log.20260102-150405.000000"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // a log that is gone is no error
		if err := Remove(filepath.Join(dir, "0.log")); err != nil {
			t.Fatal(err)
		}
	}
	if err := Remove(filepath.Join(dir, "none", "0.log")); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 2 || filepath.Base(left[0]) != "1.log.20260102-150405.000000" || filepath.Base(left[1]) != "10.log" {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestRotateMovesTheLogBackWhenItCannotBeReopened(t *testing.T) {
	g := NewWithT(t)
	log := filepath.Join(t.TempDir(), "0.log")
	g.Expect(os.WriteFile(log, []byte("0123456789"), 0o600)).To(Succeed())
	err := Rotate(log, Policy{MaxSize: 1, MaxFiles: 2}, time.Now(), func() error { return errors.New("no") })
	g.Expect(err).To(HaveOccurred())
	g.Expect(log).To(BeAnExistingFile())
}
