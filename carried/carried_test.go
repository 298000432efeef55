package carried

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	. "github.com/onsi/gomega"
)

func TestImageIsReproducibleAndRuns(t *testing.T) {
	g := NewWithT(t)
	var one, two bytes.Buffer
	g.Expect(Sample().Write(&one, []byte("program"))).To(Succeed())
	g.Expect(Sample().Write(&two, []byte("program"))).To(Succeed())
	digests := map[string]bool{}
	for _, n := range Sample().Names {
		image := read(g, one.Bytes(), n)
		digest, err := image.Digest()
		g.Expect(err).NotTo(HaveOccurred())
		again, err := read(g, two.Bytes(), n).Digest()
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(again).To(Equal(digest))
		digests[digest.String()] = true
		config, err := image.ConfigFile()
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(config.Config.Entrypoint).To(Equal([]string{"/sample", "serve"}))
	}
	g.Expect(digests).To(HaveLen(len(Sample().Names)), "each tag is an image of its own: a rolling update changes the image ID")
}

// read finds an image in an archive by its name.
func read(g *WithT, archive []byte, n string) v1.Image {
	tag, err := name.NewTag(n)
	g.Expect(err).NotTo(HaveOccurred())
	image, err := tarball.Image(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil }, &tag)
	g.Expect(err).NotTo(HaveOccurred())
	return image
}

func TestInstallTakesAFolderOfProgramsOrSaysWhatIsMissing(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	for _, p := range Programs()[1:] {
		g.Expect(os.WriteFile(filepath.Join(dir, p), nil, 0o755)).To(Succeed())
	}
	_, err := Install(t.TempDir(), dir)
	g.Expect(err).To(MatchError(ErrMissing))
	g.Expect(err).To(MatchError(ContainSubstring(Programs()[0])))
	g.Expect(os.WriteFile(filepath.Join(dir, Programs()[0]), nil, 0o755)).To(Succeed())
	got, err := Install(t.TempDir(), dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(got).To(Equal(dir))
}

func TestInstallLinksWhatIsOnPath(t *testing.T) {
	if names, err := fs.ReadDir(files(), "bin"); err == nil && len(names) > 0 {
		return // this build carries them: nothing is looked up
	}
	g := NewWithT(t)
	path := t.TempDir()
	for _, p := range Programs() {
		g.Expect(os.WriteFile(filepath.Join(path, p), []byte("#!/bin/true"), 0o755)).To(Succeed())
	}
	t.Setenv("PATH", path)
	dir := t.TempDir()
	for range 2 {
		_, err := Install(dir, "")
		g.Expect(err).NotTo(HaveOccurred())
	}
	target, err := os.Readlink(filepath.Join(dir, "runc"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(target).To(Equal(filepath.Join(path, "runc")))
}
