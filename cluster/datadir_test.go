package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
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
	for _, name := range []string{lockName, "kubeconfig", "etcd/member/x", "local-path/pvc-1/data", "mine"} {
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
	write(t, filepath.Join(dir, lockName))
	g.Expect(Reset(t.Context(), dir, ResetConfig{})).To(Succeed())
	g.Expect(dir).NotTo(BeADirectory())
	g.Expect(Reset(t.Context(), dir, ResetConfig{Report: func(line string) { t.Errorf("removed %s again", line) }})).To(Succeed())
}

func TestResetRefusesWhileInUse(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	lock, err := lockDir(dir)
	g.Expect(err).NotTo(HaveOccurred())
	defer lock.release()
	var used *InUseError
	g.Expect(errors.As(Reset(t.Context(), dir, ResetConfig{}), &used)).To(BeTrue())
}

func TestLocalNodesHaveAContainerd(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "nodes", "0", nameFile))
	write(t, filepath.Join(dir, "nodes", "0", "containerd", "config.toml"))
	write(t, filepath.Join(dir, "nodes", "1", nameFile)) // with a runtime that it did not start
	g.Expect(LocalNodes(dir)).To(Equal([]LocalNode{{Name: "node-a", Runtime: filepath.Join(dir, "nodes", "0", "containerd", "containerd.sock")}}))
}

func TestPodSubnet(t *testing.T) {
	for _, c := range []struct {
		all  string
		node int
		want string
	}{
		{"10.244.0.0/16", 0, "10.244.0.0/24"},
		{"10.244.0.0/16", 255, "10.244.255.0/24"},
		{"10.244.0.0/16", 256, ""},
		{"10.0.0.0/8", 65535, "10.255.255.0/24"},
		{"10.1.2.0/24", 0, "10.1.2.0/24"},
		{"10.1.2.0/24", 1, ""},
		{"10.1.2.0/25", 0, "10.1.2.0/25"},
	} {
		config := &v1alpha1.Cluster{Network: v1alpha1.Network{PodCIDR: c.all}}
		config.Default()
		got, err := podSubnet(config.Network, c.node)
		if (err != nil) != (c.want == "") || err == nil && got.String() != c.want {
			t.Errorf("node %d of %s: got %s, %v; want %q", c.node, c.all, got, err, c.want)
		}
	}
}
