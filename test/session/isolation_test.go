//go:build linux

package session

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// limit reads a file of the cgroup of a pod's container, v1's or v2's name.
func (w *workspace) limit(pod, controller, v1, v2 string) string {
	GinkgoHelper()
	id := strings.TrimPrefix(w.pod(pod).Status.ContainerStatuses[0].ContainerID, "containerd://")
	file := ""
	for _, root := range []string{"/sys/fs/cgroup/" + controller, "/sys/fs/cgroup"} {
		_ = filepath.WalkDir(filepath.Join(root, "coracle-"+w.id()), func(path string, d fs.DirEntry, err error) error {
			if err == nil && (strings.HasSuffix(path, id+"/"+v1) || strings.HasSuffix(path, id+"/"+v2)) {
				file = path
			}
			return nil
		})
	}
	Expect(file).NotTo(BeEmpty(), "cgroup file %s or %s of container %s", v1, v2, id)
	data, err := os.ReadFile(file)
	Expect(err).NotTo(HaveOccurred())
	return strings.TrimSpace(string(data))
}

var _ = Describe("what a pod may and sees", Ordered, ContinueOnFailure, func() {
	var w *workspace
	BeforeAll(func() {
		w = daily.workspace("isolation")
		w.apply(one("limited", `resources: {requests: {cpu: 100m, memory: 16Mi}, limits: {cpu: 200m, memory: 48Mi}}`, "") +
			one("readonly", `securityContext: {readOnlyRootFilesystem: true, runAsUser: 1000, runAsGroup: 2000, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}`, `securityContext: {fsGroup: 3000}`) +
			one("onhost", `args: ["--port=18099"]`, `hostNetwork: true`) +
			one("named", "", `hostname: galley, subdomain: decks, hostAliases: [{ip: 10.1.2.3, hostnames: [quay, pier]}], dnsPolicy: None, dnsConfig: {nameservers: [192.0.2.53], searches: [sea.example], options: [{name: ndots, value: "2"}]}`) +
			one("debugged", "", ""))
		w.ready("limited", "readonly", "onhost", "named", "debugged")
	})

	It("is limited in its cgroup", func() {
		Expect(w.limit("limited", "memory", "memory.limit_in_bytes", "memory.max")).To(Equal(fmt.Sprint(48 << 20)))
		Expect(w.limit("limited", "cpu", "cpu.cfs_quota_us", "cpu.max")).To(HavePrefix("20000"))
		Expect(w.limit("limited", "cpu", "cpu.shares", "cpu.weight")).To(Or(Equal("102"), Equal("4")))
	})

	It("has the user and the rights of its security context", func() {
		out, err := w.try("", "-n", w.ns, "exec", "readonly", "--", "write", "/tmp/x", "y")
		Expect(err).To(HaveOccurred())
		Expect(out).To(ContainSubstring("read-only file system"))
		Expect(w.do("exec", "readonly", "--", "cat", "/proc/self/status")).To(SatisfyAll(
			MatchRegexp(`Uid:\s+1000\s`), MatchRegexp(`Gid:\s+2000\s`), MatchRegexp(`Groups:.*\b3000\b`), MatchRegexp(`CapEff:\s+0{16}\n`), MatchRegexp(`NoNewPrivs:\s+1\n`), MatchRegexp(`Seccomp:\s+0\n`)))
	})

	It("shares the host's network if it asks for it", func() {
		pod := w.pod("onhost")
		Expect(pod.Status.PodIP).To(Equal(pod.Status.HostIP))
		Expect(get("http://127.0.0.1:18099/hostname")).Error().NotTo(HaveOccurred())
	})

	It("has names and name servers", func() {
		Expect(w.do("exec", "named", "--", "cat", "/etc/hosts")).To(SatisfyAll(
			MatchRegexp(`(?m)^10\.180\.\S+\s+galley\.decks\.isolation\.svc\.cluster\.local\s+galley$`), MatchRegexp(`(?m)^10\.1\.2\.3\s+quay\s+pier$`)))
		Expect(w.do("exec", "named", "--", "hostname")).To(Equal("galley\n"))
		Expect(w.do("exec", "named", "--", "cat", "/etc/resolv.conf")).To(Equal("search sea.example\nnameserver 192.0.2.53\noptions ndots:2\n"))
	})

	It("is debugged with an ephemeral container", func() {
		w.do("debug", "debugged", "--image=coracle.dev/sample:v2", "--container=tools", "--target=c", "--", "sh", "-c", "cat /proc/1/cmdline; echo; sleep 60")
		Eventually(func() string { out, _ := w.try("", "-n", w.ns, "logs", "debugged", "-c", "tools"); return out }).Should(ContainSubstring("sample"), "the target's processes")
		Expect(w.pod("debugged").Status.EphemeralContainerStatuses).To(HaveLen(1))
		Expect(w.pod("debugged").Status.ContainerStatuses[0].RestartCount).To(BeZero())
	})
})
