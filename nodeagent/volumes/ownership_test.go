//go:build linux

package volumes

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	. "github.com/onsi/gomega"
)

// groupAndMode returns those of a file, not following a link.
func groupAndMode(g *GomegaWithT, path string) (uint32, os.FileMode) {
	info, err := os.Lstat(path)
	g.Expect(err).NotTo(HaveOccurred())
	return info.Sys().(*syscall.Stat_t).Gid, info.Mode()
}

func TestOwnTree(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("giving files away needs root")
	}
	g := NewWithT(t)
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "outside")
	g.Expect(os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700)).To(Succeed())
	for _, file := range []string{outside, filepath.Join(dir, "a", "b", "file")} {
		g.Expect(os.WriteFile(file, nil, 0o600)).To(Succeed())
	}
	g.Expect(os.Symlink(outside, filepath.Join(dir, "a", "link"))).To(Succeed())
	g.Expect(ownTree(dir, 77, false, changeAlways)).To(Succeed())
	for path, want := range map[string]os.FileMode{
		dir: os.ModeDir | os.ModeSetgid | 0o770, filepath.Join(dir, "a"): os.ModeDir | os.ModeSetgid | 0o770, filepath.Join(dir, "a", "b", "file"): 0o660,
	} {
		group, mode := groupAndMode(g, path)
		g.Expect(group).To(BeEquivalentTo(77), path)
		g.Expect(mode&(want|os.ModeSymlink)).To(Equal(want), path)
	}
	group, _ := groupAndMode(g, filepath.Join(dir, "a", "link"))
	g.Expect(group).To(BeEquivalentTo(77))
	group, mode := groupAndMode(g, outside)
	g.Expect(group).To(BeEquivalentTo(0))
	g.Expect(mode).To(Equal(os.FileMode(0o600)))

	// The volume's own root decides whether the rest is looked at.
	g.Expect(os.Chmod(filepath.Join(dir, "a", "b", "file"), 0o600)).To(Succeed())
	g.Expect(ownTree(dir, 77, false, changeOnRootMismatch)).To(Succeed())
	_, mode = groupAndMode(g, filepath.Join(dir, "a", "b", "file"))
	g.Expect(mode).To(Equal(os.FileMode(0o600)))
	g.Expect(ownTree(dir, 78, true, changeOnRootMismatch)).To(Succeed())
	group, mode = groupAndMode(g, filepath.Join(dir, "a", "b", "file"))
	g.Expect(group).To(BeEquivalentTo(78))
	g.Expect(mode).To(Equal(os.FileMode(0o640 | 0o600)))

	// A volume that is a file.
	g.Expect(ownTree(outside, 79, false, changeAlways)).To(Succeed())
	group, _ = groupAndMode(g, outside)
	g.Expect(group).To(BeEquivalentTo(79))
	g.Expect(ownTree(filepath.Join(dir, "gone"), 79, false, changeAlways)).NotTo(Succeed())
}

// Another pod with the volume puts a link to the host's files in the place of a directory.
func TestOwnTreeStaysInTheVolume(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("giving files away needs root")
	}
	g := NewWithT(t)
	volume, host := t.TempDir(), t.TempDir()
	secret, inner, aside := filepath.Join(host, "file"), filepath.Join(volume, "dir"), filepath.Join(volume, "aside")
	g.Expect(os.WriteFile(secret, nil, 0o600)).To(Succeed())
	g.Expect(os.Mkdir(inner, 0o700)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(inner, "file"), nil, 0o600)).To(Succeed())
	stop, swapped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(swapped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.Rename(inner, aside)
			_ = os.Symlink(host, inner)
			_ = os.Remove(inner)
			_ = os.Rename(aside, inner)
		}
	}()
	for range 3000 {
		_ = ownTree(volume, 77, false, changeAlways) // it may fail: paths escape from the volume
	}
	close(stop)
	<-swapped
	group, mode := groupAndMode(g, secret)
	g.Expect(group).To(BeEquivalentTo(0))
	g.Expect(mode).To(Equal(os.FileMode(0o600)))
	group, _ = groupAndMode(g, host)
	g.Expect(group).To(BeEquivalentTo(0))
}
