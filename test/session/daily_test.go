//go:build linux

package session

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
)

const hello = "../../config/samples/hello.yaml"

var _ = Describe("the sample Deployment", Ordered, ContinueOnFailure, func() {
	var w *workspace
	var pod string
	BeforeAll(func() {
		w = daily.workspace("daily")
		w.do("apply", "-f", hello)
		Expect(w.do("rollout", "status", "deployment/hello", "--timeout=30s")).To(ContainSubstring(`deployment "hello" successfully rolled out`))
		pod = w.pods("hello")[0].Name
	})

	It("is listed and described", func() {
		Expect(w.do("get", "pods", "-o", "wide")).To(MatchRegexp(`(?m)^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES\n(hello-\S+ +1/1 +Running +0 +\S+ +10\.180\.0\.\d+ +\S+ +<none> +<none>\n){3}$`))
		Expect(w.do("get", "deployment", "hello")).To(MatchRegexp(`(?m)^hello +3/3 +3 +3 +`))
		Expect(w.do("get", "endpointslices", "--no-headers")).To(MatchRegexp(`^(hello-\S+ +IPv4 +8080 +10\.\S+ +\S+\n){2}$`), "one slice a Service")
		Expect(w.do("describe", "pod", pod)).To(SatisfyAll(
			MatchRegexp(`Image: +coracle.dev/sample:v1\n`), MatchRegexp(`Ready +True`), ContainSubstring("Started"), ContainSubstring("MESSAGE:  <set to the key 'message' of config map 'hello'>")))
		Expect(w.do("describe", "deployment", "hello")).To(ContainSubstring("3 desired | 3 updated | 3 total | 3 available | 0 unavailable"))
		Expect(daily.kubectl("describe", "nodes")).To(ContainSubstring("hello-"))
	})

	It("has events that tell its story", func() {
		events := w.do("get", "events")
		for _, line := range []string{
			`Normal +ScalingReplicaSet +deployment/hello +Scaled up replica set hello-\S+ from 0 to 3`,
			`Normal +SuccessfulCreate +replicaset/hello-\S+ +Created pod: hello-`,
			`Normal +Scheduled +pod/hello-\S+ +Successfully assigned daily/hello-\S+ to `,
			`Normal +Pulled +pod/hello-\S+ +Container image "coracle.dev/sample:v1" already present on machine and can be accessed by the pod`,
			`Normal +Created +pod/hello-`, `Normal +Started +pod/hello-`,
		} {
			Expect(events).To(MatchRegexp(line))
		}
		Expect(w.do("events", "--for", "pod/"+pod)).To(ContainSubstring("Scheduled"))
	})

	It("shows its logs, and follows them", func() {
		Expect(w.do("logs", pod)).To(ContainSubstring("listening on port 8080"))
		Expect(w.do("logs", "deployment/hello", "--tail=1", "--timestamps")).To(MatchRegexp(`(?m)^\d{4}-\d\d-\d\dT\S+Z .*listening on port 8080`))
		follow := w.start(w.command("-n", w.ns, "logs", "-f", pod))
		w.do("exec", pod, "--", "get", "http://127.0.0.1:8080/marker")
		Eventually(follow).Should(gbytes.Say("GET /marker from 127.0.0.1"), "the request in the followed log")
	})

	It("runs programs in its containers", func() {
		Expect(w.do("exec", pod, "--", "cat", "/etc/hello/motd")).To(Equal("Welcome aboard.\n"))
		Expect(w.do("exec", pod, "--", "env")).To(SatisfyAll(ContainSubstring("MESSAGE=hello\n"), ContainSubstring("POD_IP=10.180.0."), ContainSubstring("KUBERNETES_SERVICE_HOST=10.181.0.1\n")))
		out, err := w.try("from stdin\n", "-n", w.ns, "exec", "-i", pod, "--", "cat")
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(Equal("from stdin\n"))
		out, err = w.try("", "-n", w.ns, "exec", pod, "--", "sh", "-c", "exit 3")
		Expect(err).To(HaveOccurred())
		Expect(out).To(ContainSubstring("command terminated with exit code 3"))
		out, err = w.try("", "-n", w.ns, "exec", pod, "--", "no-such-program")
		Expect(err).To(HaveOccurred())
		Expect(out).To(ContainSubstring("executable file not found in $PATH"))
	})

	It("runs programs on a terminal", func() {
		terminal, session := w.onTerminal("-n", w.ns, "exec", "-it", pod, "--", "sh")
		Expect(fmt.Fprintln(terminal, `echo "on $HOSTNAME"`)).Error().NotTo(HaveOccurred())
		Eventually(session.out).Should(gbytes.Say("on "+pod), "the shell's answer on the terminal")
		Expect(fmt.Fprintln(terminal, "exit")).Error().NotTo(HaveOccurred())
		Eventually(session.ended).Should(Receive(BeNil()), "the shell's end")
	})

	It("is attached to", func() {
		w.apply(`{apiVersion: v1, kind: Pod, metadata: {name: reader}, spec: {restartPolicy: Never, terminationGracePeriodSeconds: 0, containers: [{name: c, image: "coracle.dev/sample:v1", command: [sh], stdin: true, stdinOnce: true}]}}`)
		w.ready("reader")
		out, err := w.try("echo attached\n", "-n", w.ns, "attach", "-i", "reader")
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(ContainSubstring("attached\n"))
		w.ended("reader")
		out, err = w.try("echo ran\n", "-n", w.ns, "run", "once", "--image=coracle.dev/sample:v1", "--restart=Never", "--rm", "-i", "--quiet", "--command", "--", "sh")
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(ContainSubstring("ran\n"))
	})

	It("has its ports forwarded", func() {
		for _, target := range []struct {
			what string
			port int
		}{{pod, 8080}, {"service/hello", 80}, {"deployment/hello", 8080}} {
			port := freePort()
			s := w.start(w.command("-n", w.ns, "port-forward", target.what, fmt.Sprintf("%d:%d", port, target.port)))
			Eventually(s).Should(gbytes.Say("Forwarding from 127.0.0.1:%d -> 8080", port))
			for range 3 {
				Expect(get(fmt.Sprintf("http://127.0.0.1:%d/hostname", port))).To(HavePrefix("hello-"))
			}
		}
	})

	It("has files copied in and out", func() {
		dir := GinkgoT().TempDir()
		text := strings.Repeat("line of text\n", 100_000)
		Expect(os.MkdirAll(filepath.Join(dir, "in", "deeper"), 0o755)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(dir, "in", "deeper", "file"), []byte(text), 0o600)).To(Succeed())
		w.do("cp", filepath.Join(dir, "in"), pod+":/tmp/in")
		w.do("cp", pod+":/tmp/in/deeper/file", filepath.Join(dir, "out"))
		back, err := os.ReadFile(filepath.Join(dir, "out"))
		Expect(err).NotTo(HaveOccurred())
		Expect(string(back) == text).To(BeTrue(), "the copied file is the same")
	})

	It("is reached through the API server", func() {
		path := fmt.Sprintf("/api/v1/namespaces/%s/", w.ns)
		Expect(daily.kubectl("get", "--raw", path+"pods/"+pod+":8080/proxy/hostname")).To(Equal(pod))
		Expect(daily.kubectl("get", "--raw", path+"services/hello:http/proxy/hostname")).To(HavePrefix("hello-"))
	})
})
