//go:build linux

package session

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
)

// one returns a pod of one container c; more is further fields of the
// container, spec of the pod's spec, in JSON.
func one(name, more, spec string) string {
	if spec != "" {
		spec = ", " + spec
	}
	return fmt.Sprintf(`{apiVersion: v1, kind: Pod, metadata: {name: %[1]s, labels: {app: %[1]s}}, spec: {terminationGracePeriodSeconds: 0%[3]s, containers: [{name: c, image: "coracle.dev/sample:v1"%[2]s}]}}
---
`, name, comma(more), spec)
}

func comma(s string) string {
	if s == "" {
		return ""
	}
	return ", " + s
}

// script returns the command of a container that runs a line of the sample's shell.
func script(line string) string { return fmt.Sprintf(`command: [sh, -c, %q]`, line) }

// last returns the last termination of a pod's container.
func last(pod *corev1.Pod) *corev1.ContainerStateTerminated {
	if len(pod.Status.ContainerStatuses) == 0 {
		return nil
	}
	s := pod.Status.ContainerStatuses[0]
	return cmp.Or(s.State.Terminated, s.LastTerminationState.Terminated)
}

const never = `restartPolicy: Never`

var _ = Describe("pods that end, fail and restart", Ordered, ContinueOnFailure, func() {
	var w *workspace
	BeforeAll(func() {
		w = daily.workspace("endings")
		// All start together; each spec looks at its own.
		w.apply(one("crash", script(`echo "another try"; exit 4`), "") +
			one("done", script(`write /dev/termination-log "all is well"`), never) +
			one("failed", script(`echo "the last words"; exit 9`)+`, terminationMessagePolicy: FallbackToLogsOnError`, never) +
			one("oom", script(`cat /dev/zero`)+`, resources: {limits: {memory: 32Mi}}`, never) +
			one("retry", script(`exit 1`), `restartPolicy: OnFailure`) +
			one("absent", `imagePullPolicy: Always`, "") +
			one("neverpull", `imagePullPolicy: Never`, "") +
			one("root", `securityContext: {runAsNonRoot: true}`, "") +
			one("nocommand", `command: [no-such-program]`, never) +
			one("deadline", `args: ["--port=8080"]`, `activeDeadlineSeconds: 1, `+never))
		w.do("run", "pull", "--image=127.0.0.1:1/none:1")
	})

	It("back off between crashes, and show the logs of the run before", func() {
		Expect(w.waiting("crash", "CrashLoopBackOff")).To(MatchRegexp(`^back-off 10s restarting failed container=c pod=crash_endings\(\S+\)$`))
		pod := w.pod("crash")
		Expect(last(pod)).To(HaveField("ExitCode", BeEquivalentTo(4)))
		Expect(last(pod)).To(HaveField("Reason", "Error"))
		Expect(w.do("logs", "crash", "--previous")).To(Equal("another try\n"))
		Expect(w.do("get", "pod", "crash")).To(MatchRegexp(`crash +0/1 +CrashLoopBackOff +[1-9]`))
		Expect(w.do("get", "events", "--field-selector", "involvedObject.name=crash")).To(MatchRegexp(`Warning +BackOff +pod/crash +Back-off restarting failed container c in pod crash_endings`))
	})

	It("leave their messages", func() {
		Expect(last(w.ended("done"))).To(SatisfyAll(HaveField("Message", "all is well\n"), HaveField("Reason", "Completed")))
		Expect(w.pod("done").Status.Phase).To(Equal(corev1.PodSucceeded))
		Expect(last(w.ended("failed"))).To(SatisfyAll(HaveField("Message", "the last words\n"), HaveField("ExitCode", BeEquivalentTo(9))))
		Expect(w.do("get", "pods")).To(SatisfyAll(MatchRegexp(`done +0/1 +Completed +0`), MatchRegexp(`failed +0/1 +Error +0`)))
		Expect(w.do("logs", "failed")).To(Equal("the last words\n"))
		Eventually(func() int32 { return w.pod("retry").Status.ContainerStatuses[0].RestartCount }).Should(BeNumerically(">", 0))
	})

	It("are killed when they take more memory than their limit", func() {
		Expect(last(w.ended("oom"))).To(SatisfyAll(HaveField("Reason", "OOMKilled"), HaveField("ExitCode", BeEquivalentTo(137))))
	})

	It("say which image cannot be had", func() {
		Expect(w.waiting("pull", "ErrImagePull")).To(ContainSubstring("127.0.0.1:1/none:1"))
		Expect(w.waiting("pull", "ImagePullBackOff")).To(ContainSubstring(`Back-off pulling image "127.0.0.1:1/none:1"`))
		Expect(w.do("get", "events", "--field-selector", "involvedObject.name=pull")).To(SatisfyAll(
			MatchRegexp(`Normal +Pulling +pod/pull +Pulling image "127.0.0.1:1/none:1"`), MatchRegexp(`Warning +Failed +pod/pull +Failed to pull image "127.0.0.1:1/none:1": `),
			MatchRegexp(`Warning +Failed +pod/pull +Error: ErrImagePull`)))
		w.ready("neverpull")
	})

	It("refuse what their security context forbids", func() {
		Expect(w.waiting("root", "CreateContainerConfigError")).To(MatchRegexp(`^container has runAsNonRoot and image will run as root \(pod: "root_endings\(\S+\)", container: c\)$`))
		Expect(last(w.ended("nocommand"))).To(SatisfyAll(HaveField("Reason", "StartError"), HaveField("ExitCode", BeEquivalentTo(128)), HaveField("Message", ContainSubstring("executable file not found in $PATH"))))
	})

	It("end at their deadline", func() {
		Expect(w.ended("deadline").Status).To(SatisfyAll(HaveField("Phase", corev1.PodFailed), HaveField("Reason", "DeadlineExceeded")))
	})
})

var _ = Describe("init and sidecar containers", Ordered, func() {
	It("run in order, before and beside the others", func() {
		w := daily.workspace("inits")
		w.apply(`{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {restartPolicy: Never, terminationGracePeriodSeconds: 1, initContainers: [
  {name: first, image: "coracle.dev/sample:v1", command: [sh, -c, "write /s/one first"], volumeMounts: [{name: s, mountPath: /s}]},
  {name: side, image: "coracle.dev/sample:v1", restartPolicy: Always, args: ["--port=8090"], startupProbe: {httpGet: {path: /healthz, port: 8090}, periodSeconds: 1}},
  {name: last, image: "coracle.dev/sample:v1", command: [sh, -c, "get http://127.0.0.1:8090/hostname; cat /s/one"], volumeMounts: [{name: s, mountPath: /s}]}],
  containers: [{name: c, image: "coracle.dev/sample:v1", command: [sh, -c, "cat /s/one; get http://127.0.0.1:8090/hostname"], volumeMounts: [{name: s, mountPath: /s}]}], volumes: [{name: s, emptyDir: {}}]}}`)
		pod := w.ended("p")
		Expect(pod.Status.Phase).To(Equal(corev1.PodSucceeded), describe(pod))
		Expect(w.do("logs", "p", "-c", "last")).To(Equal("pfirst\n"))
		Expect(w.do("logs", "p", "-c", "c")).To(Equal("first\np"))
		Expect(w.do("logs", "p", "-c", "side")).To(ContainSubstring("listening on port 8090"))
		Expect(pod.Status.InitContainerStatuses).To(HaveLen(3))
	})
})

var _ = Describe("probes and hooks", Ordered, ContinueOnFailure, func() {
	var w *workspace
	var host string
	BeforeAll(func() {
		host = GinkgoT().TempDir()
		w = daily.workspace("probes")
		probe := func(kind, what string) string {
			return fmt.Sprintf(`%s: {%s, periodSeconds: 1, failureThreshold: 1}`, kind, what)
		}
		w.apply(one("lively", probe("livenessProbe", `exec: {command: [cat, /tmp/alive]}, initialDelaySeconds: 1`)+`, lifecycle: {postStart: {exec: {command: [write, /tmp/alive, x]}}}`, "") +
			one("picky", probe("readinessProbe", `exec: {command: [cat, /tmp/ready]}`), "") +
			one("slow", `startupProbe: {exec: {command: [cat, /tmp/started]}, periodSeconds: 1, failureThreshold: 60}, `+probe("livenessProbe", `tcpSocket: {port: 8080}`)+`, `+probe("readinessProbe", `httpGet: {path: /healthz, port: 8080}`), "") +
			fmt.Sprintf(`{apiVersion: v1, kind: Pod, metadata: {name: polite}, spec: {terminationGracePeriodSeconds: 20, containers: [{name: c, image: "coracle.dev/sample:v1", args: ["--drain=1s"],
  volumeMounts: [{name: h, mountPath: /h}], lifecycle: {postStart: {exec: {command: [write, /h/began, "yes"]}}, preStop: {exec: {command: [write, /h/ending, "yes"]}}}}], volumes: [{name: h, hostPath: {path: %s}}]}}`, host))
		w.do("expose", "pod", "picky", "--port=80", "--target-port=8080")
	})

	It("restart what is not alive", func() {
		w.ready("lively")
		w.do("exec", "lively", "--", "sh", "-c", "exit 0")
		before := w.pod("lively").Status.ContainerStatuses[0].ContainerID
		// The tool may be taken along by the end of the container.
		if out, err := w.try("", "--namespace", w.ns, "exec", "lively", "--", "kill", "1"); err != nil {
			Expect(err).To(HaveField("ExitCode()", 137), out)
		}
		Eventually(func() *corev1.ContainerStatus { return &w.pod("lively").Status.ContainerStatuses[0] }).Should(SatisfyAll(
			HaveField("ContainerID", Not(Equal(before))), HaveField("RestartCount", BeNumerically(">=", 1))))
	})

	It("restart a container whose liveness probe fails", func() {
		w.apply(one("dead", `livenessProbe: {exec: {command: ["false"]}, periodSeconds: 1, failureThreshold: 1}`, ""))
		Eventually(func() int32 {
			if s := w.pod("dead").Status.ContainerStatuses; len(s) > 0 {
				return s[0].RestartCount
			}
			return 0
		}).Should(BeNumerically(">=", 1))
		Expect(w.do("get", "events", "--field-selector", "involvedObject.name=dead")).To(SatisfyAll(
			MatchRegexp(`Warning +Unhealthy +pod/dead +Liveness probe failed`), MatchRegexp(`Normal +Killing +pod/dead +Container c failed liveness probe, will be restarted`)))
	})

	It("keep what is not ready out of Services", func() {
		url := "http://" + w.service("picky").Spec.ClusterIP
		Eventually(func() string { return w.do("get", "pod", "picky") }).Should(MatchRegexp(`picky +0/1 +Running`))
		Expect(get(url)).Error().To(HaveOccurred())
		w.do("exec", "picky", "--", "write", "/tmp/ready", "yes")
		w.ready("picky")
		Eventually(func() error { _, err := get(url); return err }).Should(Succeed())
		w.do("exec", "picky", "--", "sh", "-c", "rm /tmp/ready")
		Eventually(func() error { _, err := get(url); return err }).Should(HaveOccurred())
	})

	It("wait for a slow start before they look", func() {
		started := func() *bool {
			if s := w.pod("slow").Status.ContainerStatuses; len(s) > 0 && s[0].State.Running != nil {
				return s[0].Started
			}
			return nil
		}
		Eventually(started).Should(HaveValue(BeFalse()))
		w.do("exec", "slow", "--", "write", "/tmp/started", "yes")
		w.ready("slow")
		Expect(started()).To(HaveValue(BeTrue()))
	})

	It("run hooks, and give the container its grace", func() {
		w.ready("polite")
		Expect(filepath.Join(host, "began")).To(BeARegularFile())
		w.do("delete", "pod", "polite", "--timeout=15s")
		Expect(os.ReadFile(filepath.Join(host, "ending"))).To(BeEquivalentTo("yes\n"))
	})
})
