package datadir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("node-a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestResetTouchesDataDirectoriesOnly(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "etcd", "precious"))
	err := Reset(t.Context(), dir, ResetConfig{})
	g.Expect(errors.Is(err, ErrNotDataDir)).To(BeTrue(), "got %v", err)
	g.Expect(filepath.Join(dir, "etcd", "precious")).To(BeAnExistingFile())
}

func TestResetKeepsWhatIsNotItsOwn(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	for _, name := range []string{LockFile, "kubeconfig", "etcd/member/x", "local-path/pvc-1/data", "mine"} {
		write(t, filepath.Join(dir, name))
	}
	var removed []string
	g.Expect(Reset(t.Context(), dir, ResetConfig{Report: func(line string) { removed = append(removed, line) }})).To(Succeed())
	g.Expect(removed).To(HaveLen(1))
	g.Expect(removed[0]).To(ContainSubstring("mine in it is not coracle's"))
	left, err := os.ReadDir(dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(left).To(HaveLen(1))
}

func TestResetMayBeRepeated(t *testing.T) {
	g := NewWithT(t)
	dir := filepath.Join(t.TempDir(), "data")
	write(t, filepath.Join(dir, LockFile))
	g.Expect(Reset(t.Context(), dir, ResetConfig{})).To(Succeed())
	g.Expect(dir).NotTo(BeADirectory())
	g.Expect(Reset(t.Context(), dir, ResetConfig{Report: func(line string) { t.Errorf("removed %s again", line) }})).To(Succeed())
}

func TestResetRefusesWhileInUse(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	lock, err := Take(dir)
	g.Expect(err).NotTo(HaveOccurred())
	defer lock.Release()
	var used *InUseError
	g.Expect(errors.As(Reset(t.Context(), dir, ResetConfig{}), &used)).To(BeTrue())
}

func TestLocalNodesHaveAContainerd(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "nodes", "0", NameFile))
	write(t, filepath.Join(dir, "nodes", "0", "containerd", "config.toml"))
	write(t, filepath.Join(dir, "nodes", "1", NameFile)) // with a runtime that it did not start
	g.Expect(LocalNodes(dir)).To(Equal([]LocalNode{{Name: "node-a", Runtime: filepath.Join(dir, "nodes", "0", "containerd", "containerd.sock")}}))
}
