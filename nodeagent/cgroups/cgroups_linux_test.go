package cgroups

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

// TestPodsDoNotSwap writes to files like those of a unified hierarchy.
func TestPodsDoNotSwap(t *testing.T) {
	g := NewWithT(t)
	m := &Manager{mount: t.TempDir(), v2: true}
	for _, accounts := range []bool{true, false} {
		dir := filepath.Join(m.mount, "pod")
		g.Expect(os.RemoveAll(dir)).To(Succeed())
		g.Expect(os.Mkdir(dir, 0o755)).To(Succeed())
		for _, name := range []string{"../cgroup.subtree_control", "memory.max", "pids.max", "cpu.max"} {
			g.Expect(os.WriteFile(filepath.Join(dir, name), nil, 0o600)).To(Succeed())
		}
		if accounts {
			g.Expect(os.WriteFile(filepath.Join(dir, noSwap), []byte("max"), 0o600)).To(Succeed())
		}
		g.Expect(m.Set("/pod", Limits{Memory: 1 << 20})).To(Succeed())
		limit, err := os.ReadFile(filepath.Join(dir, "memory.max"))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(string(limit)).To(Equal("1048576"))
		swap, err := os.ReadFile(filepath.Join(dir, noSwap))
		if !accounts {
			g.Expect(err).To(MatchError(os.ErrNotExist))
			continue
		}
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(string(swap)).To(Equal("0"))
	}
}
