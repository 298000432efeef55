//go:build linux

package volumes

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
)

func TestWriteAtomicLeavesUnchangedAlone(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	content := payload{"a": {data: []byte("1"), mode: 0o644}, "d/e/f": {data: []byte("2"), mode: 0o600}}
	g.Expect(writeAtomic(dir, content, nil, time.Now())).To(Succeed())
	first, err := os.Readlink(filepath.Join(dir, dataLink))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(writeAtomic(dir, content, nil, time.Now())).To(Succeed())
	second, _ := os.Readlink(filepath.Join(dir, dataLink))
	g.Expect(second).To(Equal(first))

	// A crash left a half-written content and a temporary link; both are mended.
	g.Expect(os.Mkdir(filepath.Join(dir, "..half"), 0o755)).To(Succeed())
	g.Expect(os.Symlink("..half", filepath.Join(dir, dataLinkTmp))).To(Succeed())
	g.Expect(writeAtomic(dir, payload{"d/e/g": {data: []byte("3")}}, nil, time.Now())).To(Succeed())
	entries, err := os.ReadDir(dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(entries).To(HaveLen(3)) // ..data, its directory, d
	g.Expect(os.ReadFile(filepath.Join(dir, "d/e/g"))).To(BeEquivalentTo("3"))

	g.Expect(writeAtomic(dir, payload{}, nil, time.Now())).To(Succeed())
	entries, _ = os.ReadDir(dir)
	g.Expect(entries).To(HaveLen(2))
	for _, bad := range []string{"../x", "/x", "..data", "a/../../x"} {
		g.Expect(writeAtomic(dir, payload{bad: {}}, nil, time.Now())).NotTo(Succeed(), bad)
	}
}

func TestHostPathTypes(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	g.Expect(os.WriteFile(file, nil, 0o600)).To(Succeed())
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	g.Expect(err).NotTo(HaveOccurred())
	defer l.Close()
	for _, tc := range []struct {
		path string
		kind corev1.HostPathType
		want string
	}{
		{dir, "", ""}, {dir + "/none", "", ""},
		{dir, "Directory", ""}, {file, "Directory", "hostPath type check failed: " + file + " is not a directory"},
		{file, "File", ""}, {dir, "File", "hostPath type check failed: " + dir + " is not a file"},
		{dir + "/none", "File", "hostPath type check failed: " + dir + "/none is not a file"},
		{dir + "/s", "Socket", ""}, {file, "Socket", "hostPath type check failed: " + file + " is not a socket file"},
		{"/dev/null", "CharDevice", ""}, {"/dev/null", "BlockDevice", "hostPath type check failed: /dev/null is not a block device"},
		{dir + "/new/deep", "DirectoryOrCreate", ""}, {dir + "/newfile", "FileOrCreate", ""},
		{dir, "FileOrCreate", "hostPath type check failed: " + dir + " is not a file"},
		{dir, "Nonsense", "hostPath type check failed: Nonsense is an invalid volume type"},
	} {
		err := checkHostPath(&corev1.HostPathVolumeSource{Path: tc.path, Type: &tc.kind})
		if (err == nil) != (tc.want == "") || (err != nil && err.Error() != tc.want) {
			t.Errorf("%s as %s: %v, want %q", tc.path, tc.kind, err, tc.want)
		}
	}
	g.Expect(dir + "/new/deep").To(BeADirectory())
	g.Expect(dir + "/newfile").To(BeARegularFile())
}
