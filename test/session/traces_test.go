//go:build linux

package session

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// container is a path element of the cgroup of a container or sandbox.
var container = regexp.MustCompile(`[0-9a-f]{64}`)

// processes returns the processes of the cluster besides coracle itself: the ID
// of its container where a process runs in one, else its command line.
func (m *machine) processes() []string {
	GinkgoHelper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	Expect(err).NotTo(HaveOccurred())
	var found []string
	for _, dir := range dirs {
		group, _ := os.ReadFile(filepath.Join(dir, "cgroup")) // it may just have ended
		line, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		command := strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
		switch id := container.FindString(string(group)); {
		case strings.Contains(string(group), m.id()) && id != "":
			found = append(found, id)
		case strings.Contains(command, m.dir+"/"), strings.Contains(string(group), "coracle-"+m.id()):
			found = append(found, command)
		}
	}
	return found
}

// traces returns all that the running cluster keeps on the machine outside of
// its data directory: processes, mounts, links, network namespaces, nft tables,
// cgroups, run directories.
func (m *machine) traces() []string {
	GinkgoHelper()
	found := m.processes()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	Expect(err).NotTo(HaveOccurred())
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, m.dir) || strings.Contains(line, "/run/coracle/"+m.id()) {
			found = append(found, "mount "+line)
		}
	}
	links, err := filepath.Glob("/sys/class/net/cr" + m.id() + "*")
	Expect(err).NotTo(HaveOccurred())
	found = append(found, links...)
	for _, pattern := range []string{"/run/netns/*" + m.id() + "*", "/run/coracle/" + m.id(), "/etc/cni/net.d/*" + m.id() + "*"} {
		files, err := filepath.Glob(pattern)
		Expect(err).NotTo(HaveOccurred())
		found = append(found, files...)
	}
	tables, err := exec.Command("nft", "list", "tables").Output()
	Expect(err).NotTo(HaveOccurred())
	for line := range strings.Lines(string(tables)) {
		if strings.Contains(line, m.id()) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.Contains(d.Name(), "coracle-"+m.id()) {
			found = append(found, path)
			return fs.SkipDir
		}
		return nil
	})
	return found
}
