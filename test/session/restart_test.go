//go:build linux

package session

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	"github.com/onsi/gomega/gexec"
	corev1 "k8s.io/api/core/v1"
)

var _ = Describe("the end of coracle and the next start", Ordered, func() {
	var m *machine
	var w *workspace
	var url string
	BeforeAll(func() {
		m = newMachine(1)
		DeferCleanup(m.remove)
		m.up()
		w = m.workspace("kept")
		w.apply(deployment("web", 2))
		w.do("expose", "deployment", "web", "--port=80", "--target-port=8080")
		w.rolledOut("web")
		url = "http://" + w.service("web").Spec.ClusterIP
		Eventually(func() error { _, err := get(url); return err }).Should(Succeed())
	})

	It("refuses a second coracle on the same data", func() {
		second := exec.Command(program(), "up", "--config", m.config)
		out := &bytes.Buffer{}
		second.Stdout, second.Stderr = out, out
		Expect(second.Run()).To(HaveOccurred())
		Expect(out.String()).To(ContainSubstring("in use by another coracle process"))
		Expect(get(url)).Error().NotTo(HaveOccurred())
	})

	It("adopts running pods after kill -9, which go on serving meanwhile", func() {
		before, pods := containers(w.pods("web")), names(w.pods("web"))
		done := askers(url)
		m.kill()
		Expect(m.processes()).To(ContainElements(before))
		m.up()
		w.machine = m
		w.apply(one("after", "", ""))
		w.ready("after")
		asked, failures := done()
		Expect(failures).To(BeEmpty(), "of %d requests", asked)
		w.do("scale", "deployment/web", "--replicas=3")
		w.rolledOut("web")
		now := w.pods("web")
		Expect(names(now)).To(ContainElements(pods))
		Expect(containers(now)).To(ContainElements(before))
		for _, pod := range now {
			Expect(pod.Status.ContainerStatuses).To(HaveEach(HaveField("RestartCount", BeZero())))
		}
		Expect(w.do("exec", pods[0], "--", "hostname")).To(Equal(pods[0] + "\n"))
		Expect(w.do("logs", pods[0])).To(ContainSubstring("listening"))
	})

	It("starts containerd again when that is killed", func() {
		before := containers(w.pods("web"))
		pid := m.containerd()
		Expect(syscall.Kill(pid, syscall.SIGKILL)).To(Succeed())
		Eventually(m.containerd).ShouldNot(Or(Equal(pid), BeZero()), "another containerd")
		w.apply(one("later", "", ""))
		w.ready("later")
		Expect(containers(w.pods("web"))).To(Equal(before))
		for _, pod := range w.pods("web") {
			Expect(pod.Status.ContainerStatuses).To(HaveEach(HaveField("RestartCount", BeZero())))
		}
	})

	It("leaves nothing behind after SIGTERM", func() {
		Expect(m.traces()).NotTo(BeEmpty())
		m.stop()
		Expect(m.traces()).To(BeEmpty())
		Expect(get(url)).Error().To(HaveOccurred())
	})

	It("continues with the same data", func() {
		m.up()
		w.machine = m
		Eventually(func() []corev1.Pod { return w.pods("web") }).Should(SatisfyAll(HaveLen(3), HaveEach(HaveField("Status.Phase", corev1.PodRunning))))
		w.ready(names(w.pods("web"))...)
		Eventually(func() error { _, err := get(url); return err }).Should(Succeed(), "the Service with its address of before")
		// Until the agent has looked, the status is that of before the stop.
		Eventually(func() int32 { return w.pods("web")[0].Status.ContainerStatuses[0].RestartCount }).Should(BeEquivalentTo(1))
	})

	It("is reset after kill -9", func() {
		m.kill()
		Expect(m.processes()).NotTo(BeEmpty())
		reset, err := gexec.Start(exec.Command(program(), "reset", "--data-dir", m.dir), GinkgoWriter, GinkgoWriter)
		Expect(err).NotTo(HaveOccurred())
		Eventually(reset, 30).Should(gexec.Exit(0))
		Expect(m.traces()).To(BeEmpty())
		Expect(m.dir).NotTo(BeADirectory())
	})
})

// containerd returns the process of the cluster's containerd, 0 without one.
func (m *machine) containerd() int {
	data, err := os.ReadFile(m.dir + "/nodes/0/containerd/containerd.pid")
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(data)))
	if line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline"); err != nil || !strings.Contains(string(line), "containerd") {
		return 0
	}
	return pid
}

var _ = Describe("two nodes", Ordered, ContinueOnFailure, func() {
	var m *machine
	var w *workspace
	var pods []corev1.Pod
	BeforeAll(func() {
		m = newMachine(2)
		DeferCleanup(m.remove)
		m.up("--nodes", "2")
		Eventually(m.session.Err, 20).Should(gbytes.Say("2 of 2 nodes ready"))
		w = m.workspace("two")
		w.apply(strings.Replace(deployment("web", 4), "containers:", "topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: web}}}]\n      containers:", 1))
		w.do("expose", "deployment", "web", "--port=80", "--target-port=8080", "--type=NodePort")
		w.rolledOut("web")
		pods = w.pods("web")
	})

	It("both run pods, which reach each other", func() {
		nodes := map[string]corev1.Pod{}
		for _, p := range pods {
			nodes[p.Spec.NodeName] = p
		}
		Expect(nodes).To(HaveLen(2))
		for _, from := range nodes {
			for _, to := range nodes {
				out := w.do("exec", from.Name, "--", "get", "http://"+to.Status.PodIP+":8080/")
				Expect(out).To(ContainSubstring("from "+to.Name+" (you are "+from.Status.PodIP+":"), "the caller's own address")
			}
		}
	})

	It("serve ClusterIP and NodePort to the host and to pods of both", func() {
		svc := w.service("web")
		port := strconv.Itoa(int(svc.Spec.Ports[0].NodePort))
		for _, url := range []string{"http://" + svc.Spec.ClusterIP, "http://" + pods[0].Status.HostIP + ":" + port, "http://" + pods[1].Status.HostIP + ":" + port,
			"http://" + pods[2].Status.HostIP + ":" + port, "http://" + pods[3].Status.HostIP + ":" + port} {
			Eventually(func() map[string]int { return answers(url+"/hostname", 80) }).WithTimeout(15*time.Second).Should(HaveLen(4), "from the host, "+url)
			for _, p := range pods {
				Expect(w.answersIn(p.Name, url, 60)).To(HaveLen(4), "from a pod on %s, %s", p.Spec.NodeName, url)
			}
		}
	})

	It("both show logs, and run programs", func() {
		for _, p := range pods {
			Expect(w.do("logs", p.Name)).To(ContainSubstring("listening"))
			Expect(w.do("exec", p.Name, "--", "hostname")).To(Equal(p.Name + "\n"))
		}
	})

	It("lose a drained node's pods to the other", func() {
		node := pods[0].Spec.NodeName
		w.do("patch", "deployment", "web", "-p", `{"spec":{"template":{"spec":{"topologySpreadConstraints":null}}}}`)
		w.rolledOut("web")
		m.kubectl("drain", node, "--ignore-daemonsets", "--timeout=30s")
		w.rolledOut("web")
		Eventually(func() []corev1.Pod { return w.pods("web") }).Should(HaveEach(HaveField("Spec.NodeName", Not(Equal(node)))))
		m.kubectl("uncordon", node)
	})

	It("leave nothing behind", func() {
		m.stop()
		Expect(m.traces()).To(BeEmpty())
	})
})
