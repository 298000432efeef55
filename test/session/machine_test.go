//go:build linux

package session

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	"github.com/onsi/gomega/gexec"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis"
)

// machine is a data directory on this machine and, while it is up, the coracle
// process that runs its cluster.
type machine struct {
	dir, config string
	session     *gexec.Session
	client      client.WithWatch
}

// newMachine gives the cluster number n ranges of its own.
func newMachine(n int) *machine {
	GinkgoHelper()
	dir, err := os.MkdirTemp("", "coracle-session-")
	Expect(err).NotTo(HaveOccurred())
	m := &machine{dir: filepath.Join(dir, "data"), config: filepath.Join(dir, "config.yaml")}
	config := fmt.Sprintf(`apiVersion: config.coracle.dev/v1alpha1
kind: Cluster
dataDir: %s
listen: 127.0.0.1:0
network:
  podCIDR: 10.%d.0.0/16
  serviceCIDR: 10.%d.0.0/16
  linkCIDR: 10.%d.0.0/24
  nodePorts: %d-%d
`, m.dir, 180+3*n, 181+3*n, 182+3*n, 30000+200*n, 30199+200*n)
	Expect(os.WriteFile(m.config, []byte(config), 0o600)).To(Succeed())
	return m
}

// up starts the cluster and waits until its nodes are ready.
func (m *machine) up(args ...string) {
	GinkgoHelper()
	cmd := exec.Command(program(), append([]string{"up", "--config", m.config}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	m.session, err = gexec.Start(cmd, GinkgoWriter, GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	// The session's output is part of the contract.
	Eventually(m.session.Err, 20).Should(gbytes.Say(`ready in \d+\.\d\d s  https://127\.0\.0\.1:\d+\nexport KUBECONFIG=` + m.kubeconfig()))
	Eventually(m.session.Err, 20).Should(gbytes.Say(`(\d+) of (\d+) nodes ready`))
	config, err := clientcmd.BuildConfigFromFlags("", m.kubeconfig())
	Expect(err).NotTo(HaveOccurred())
	config.QPS = -1
	m.client, err = client.NewWithWatch(config, client.Options{Scheme: apis.NewClientScheme()})
	Expect(err).NotTo(HaveOccurred())
}

// stop ends the cluster as Ctrl-C does.
func (m *machine) stop() {
	GinkgoHelper()
	Eventually(m.session.Terminate(), 30).Should(gexec.Exit(0), "coracle's end after SIGTERM")
}

// kill ends the process alone, as a crash does.
func (m *machine) kill() {
	GinkgoHelper()
	Eventually(m.session.Kill(), 10).Should(gexec.Exit())
}

// remove stops what runs and deletes the data directory.
func (m *machine) remove() {
	GinkgoHelper()
	if m.session != nil && m.session.ExitCode() < 0 {
		m.stop()
	}
	Expect(os.RemoveAll(filepath.Dir(m.dir))).To(Succeed())
}

func (m *machine) kubeconfig() string { return filepath.Join(m.dir, "kubeconfig") }

// id returns the part of the names of the cluster's links, tables and cgroups
// that identifies it.
func (m *machine) id() string {
	sum := sha256.Sum256([]byte(m.dir))
	return hex.EncodeToString(sum[:3])
}

// command returns a kubectl: the built-in one, or what $KUBECTL names.
func (m *machine) command(args ...string) *exec.Cmd {
	cmd := exec.Command(program(), append([]string{"kubectl"}, args...)...)
	if named := os.Getenv("KUBECTL"); named != "" {
		cmd = exec.Command(named, args...)
	}
	cmd.Env = append(os.Environ(), "KUBECONFIG="+m.kubeconfig(), "HOME="+filepath.Dir(m.dir))
	return cmd
}

// try runs kubectl with an input and returns all that it printed.
func (m *machine) try(in string, args ...string) (string, error) {
	cmd := m.command(args...)
	cmd.Stdin = strings.NewReader(in)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// kubectl runs kubectl, which must succeed, and returns its standard output.
func (m *machine) kubectl(args ...string) string {
	GinkgoHelper()
	cmd := m.command(args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	Expect(err).NotTo(HaveOccurred(), "kubectl %s: %s%s", strings.Join(args, " "), out, &errs)
	return string(out)
}

// start runs a kubectl that goes on until the spec ends.
func (m *machine) start(cmd *exec.Cmd) *gexec.Session {
	GinkgoHelper()
	s, err := gexec.Start(cmd, GinkgoWriter, GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Eventually(s.Kill(), 10).Should(gexec.Exit()) })
	return s
}
