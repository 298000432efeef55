package controlplane

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/coracle-k8s/coracle/test/env"
)

// up is a running `coracle up`.
type up struct {
	cmd    *exec.Cmd
	dir    string
	client *kubernetes.Clientset
	web    interface{ CloseIdleConnections() }
}

// upArgs returns the arguments of a control plane with a simulated node in dir.
func upArgs(dir string, more ...string) []string {
	return append([]string{"up", "--nodes", "0", "--simulated-nodes", "1", "--data-dir", dir, "--listen", "127.0.0.1:0"}, more...)
}

// startUp runs `coracle up` until it reports that it is ready.
func startUp(dir string, more ...string) *up {
	GinkgoHelper()
	u := &up{cmd: exec.Command(binary, upArgs(dir, more...)...), dir: dir}
	u.cmd.Env = append(os.Environ(), "HOME="+dir)
	out, err := u.cmd.StderrPipe()
	Expect(err).NotTo(HaveOccurred())
	Expect(u.cmd.Start()).To(Succeed())
	DeferCleanup(func() { u.kill() })
	ready, text := make(chan bool, 1), &strings.Builder{}
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			fmt.Fprintln(text, lines.Text())
			if strings.Contains(lines.Text(), "export KUBECONFIG=") {
				ready <- true
				_, _ = io.Copy(io.Discard, out)
				return
			}
		}
		ready <- false
	}()
	var ok bool
	Eventually(ready).Should(Receive(&ok), "coracle up gets ready")
	Expect(ok).To(BeTrue(), "coracle up ended: %s", text)
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, "kubeconfig"))
	Expect(err).NotTo(HaveOccurred())
	config.QPS = -1
	web, err := rest.HTTPClientFor(config)
	Expect(err).NotTo(HaveOccurred())
	u.client, err = kubernetes.NewForConfigAndClient(config, web)
	Expect(err).NotTo(HaveOccurred())
	u.web = web
	return u
}

func (u *up) kill() {
	if u.cmd.ProcessState == nil {
		_ = u.cmd.Process.Kill()
		_ = u.cmd.Wait()
	}
	if u.web != nil {
		u.web.CloseIdleConnections()
	}
}

// complaint runs coracle, which must fail with one line.
func complaint(args ...string) string {
	GinkgoHelper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, args...).CombinedOutput()
	var exit *exec.ExitError
	Expect(errors.As(err, &exit)).To(BeTrue(), "%v: %s", err, out)
	Expect(exit.ExitCode()).To(BeNumerically(">", 0))
	// Progress lines begin with the time.
	var said []string
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		if !strings.Contains(line, " s  ") {
			said = append(said, line)
		}
	}
	Expect(said).To(HaveLen(1), "one clear line, not\n%s", out)
	return said[0]
}

var _ = Describe("a process", func() {
	It("stops on SIGTERM with exit code 0 and continues afterwards", func(ctx SpecContext) {
		dir := GinkgoTB().TempDir()
		u := startUp(dir)
		_, err := u.client.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept"}}, metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(u.cmd.Process.Signal(syscall.SIGTERM)).To(Succeed())
		Expect(u.cmd.Wait()).To(Succeed())
		u = startUp(dir)
		_, err = u.client.CoreV1().ConfigMaps("default").Get(ctx, "kept", metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
	}, SpecTimeout(time.Minute))

	It("loses no acknowledged write to kill -9", func(ctx SpecContext) {
		dir := GinkgoTB().TempDir()
		acknowledged := map[string]bool{}
		for round := range 5 {
			u := startUp(dir)
			var mu sync.Mutex
			var writers sync.WaitGroup
			var n atomic.Int64
			for writer := range 8 {
				writers.Add(1)
				go func() {
					defer writers.Done()
					for i := 0; ; i++ {
						name := fmt.Sprintf("w-%d-%d-%d", round, writer, i)
						if _, err := u.client.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
							return
						}
						mu.Lock()
						acknowledged[name] = true
						mu.Unlock()
						n.Add(1)
					}
				}()
			}
			Eventually(n.Load).Should(BeNumerically(">", 100+50*round), "writes are acknowledged")
			u.kill()
			writers.Wait()
		}
		u := startUp(dir)
		list, err := u.client.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{})
		Expect(err).NotTo(HaveOccurred())
		for _, item := range list.Items {
			delete(acknowledged, item.Name)
		}
		Expect(acknowledged).To(BeEmpty(), "acknowledged and lost")
	}, SpecTimeout(2*time.Minute))

	It("survives being idle", func(ctx SpecContext) {
		u := startUp(GinkgoTB().TempDir())
		Consistently(func() error {
			_, err := u.client.CoreV1().Namespaces().Get(ctx, "default", metav1.GetOptions{})
			return err
		}).WithTimeout(12*time.Second).WithPolling(2*time.Second).Should(Succeed(), "it answers also after it gave memory back")
	}, SpecTimeout(time.Minute))

	It("refuses a data directory in use", func() {
		dir := GinkgoTB().TempDir()
		u := startUp(dir)
		Expect(complaint(upArgs(dir)...)).To(And(ContainSubstring(dir), ContainSubstring("in use"), ContainSubstring(fmt.Sprint(u.cmd.Process.Pid))))
	})

	It("reports which port is busy, and leaves nothing half made", func() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		Expect(err).NotTo(HaveOccurred())
		defer l.Close()
		dir := filepath.Join(GinkgoTB().TempDir(), "new")
		Expect(complaint("up", "--nodes", "0", "--data-dir", dir, "--listen", l.Addr().String())).To(And(ContainSubstring(l.Addr().String()), ContainSubstring("in use")))
		_, err = os.Stat(dir)
		Expect(os.IsNotExist(err)).To(BeTrue(), "the data directory was not there before")
	})

	DescribeTable("reports what is wrong with its configuration", func(content string, want ...string) {
		file := filepath.Join(GinkgoTB().TempDir(), "config.yaml")
		Expect(os.WriteFile(file, []byte(content), 0o600)).To(Succeed())
		said := complaint("up", "--nodes", "0", "--data-dir", filepath.Join(GinkgoTB().TempDir(), "d"), "--config", file)
		for _, w := range want {
			Expect(said).To(ContainSubstring(w))
		}
	},
		Entry("no YAML", "{{{", "config.yaml"),
		Entry("another kind", "{apiVersion: v1, kind: Pod}", "config.coracle.dev/v1alpha1"),
		Entry("an unknown field", "{apiVersion: config.coracle.dev/v1alpha1, kind: Cluster, network: {colour: red}}", "network.colour"),
		Entry("a wrong type", "{apiVersion: config.coracle.dev/v1alpha1, kind: Cluster, nodes: many}", "nodes"),
		Entry("a wrong value", "{apiVersion: config.coracle.dev/v1alpha1, kind: Cluster, network: {serviceCIDR: ten}}", "network.serviceCIDR"),
	)

	It("reports which file is not there and which flag it does not know", func() {
		Expect(complaint("up", "--config", "/no/such/file")).To(ContainSubstring("/no/such/file"))
		Expect(complaint("up", "--colour", "red")).To(ContainSubstring("--colour"))
		Expect(complaint("sail")).To(ContainSubstring("sail"))
	})

	It("reports what is wrong with its data", func() {
		dir := GinkgoTB().TempDir()
		u := startUp(dir)
		Expect(u.cmd.Process.Signal(syscall.SIGTERM)).To(Succeed())
		Expect(u.cmd.Wait()).To(Succeed())
		Expect(os.WriteFile(filepath.Join(dir, "pki", "ca.crt"), []byte("rubbish"), 0o600)).To(Succeed())
		Expect(complaint(upArgs(dir)...)).To(ContainSubstring(filepath.Join(dir, "pki")))
	})
})

var _ = Describe("a cluster in this process", func() {
	It("keeps its objects over a restart", func(ctx SpecContext) {
		dir := GinkgoTB().TempDir()
		first := begin(env.WithDir(dir))
		first.apply(deployment("web", 2))
		first.ok("rollout", "status", "deployment/web", "--timeout=20s")
		var before corev1.PodList
		first.list(&before, "default")
		first.Cluster.Stop()

		second := begin(env.WithDir(dir), env.Beside())
		second.ok("rollout", "status", "deployment/web", "--timeout=20s")
		var after corev1.PodList
		second.list(&after, "default")
		Expect(after.Items).To(HaveLen(2))
		for i := range after.Items {
			Expect(after.Items[i].UID).To(Equal(before.Items[i].UID))
		}
		second.ok("scale", "deployment/web", "--replicas=3")
		second.ok("rollout", "status", "deployment/web", "--timeout=20s")
	}, SpecTimeout(time.Minute))
})
