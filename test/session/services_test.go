//go:build linux

package session

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// get asks over a connection of its own.
func get(url string) (string, error) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, response.Status)
	}
	return string(body), err
}

// helloWithoutNodePort returns the sample with a node port that the server picks.
func helloWithoutNodePort() string {
	GinkgoHelper()
	manifest, err := os.ReadFile(hello)
	Expect(err).NotTo(HaveOccurred())
	return strings.ReplaceAll(string(manifest), "nodePort: 30080", "")
}

func (w *workspace) service(name string) *corev1.Service {
	GinkgoHelper()
	svc := &corev1.Service{}
	Expect(w.client.Get(context.Background(), client.ObjectKey{Namespace: w.ns, Name: name}, svc)).To(Succeed())
	return svc
}

// balancedPort is one that nothing on the host should have.
const balancedPort = 18080

// balanced returns a Service of type LoadBalancer in front of the sample's pods.
func balanced(name string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Service","metadata":{"name":%q},"spec":{"type":"LoadBalancer",
		"selector":{"app":"hello"},"ports":[{"port":%d,"targetPort":"http"}]}}`, name, balancedPort)
}

// answers requests an URL n times from the host and counts the answers by pod.
func answers(url string, n int) map[string]int {
	GinkgoHelper()
	seen := map[string]int{}
	for range n {
		body, err := get(url)
		Expect(err).NotTo(HaveOccurred())
		seen[body]++
	}
	return seen
}

// answersIn does it from inside a pod.
func (w *workspace) answersIn(pod, url string, n int) map[string]int {
	GinkgoHelper()
	urls := strings.Fields(strings.Repeat(url+" ", n))
	seen := map[string]int{}
	for line := range strings.Lines(w.do(append([]string{"exec", pod, "--", "get"}, urls...)...)) {
		seen[strings.Fields(line)[2]]++ // hello from NAME (you are ...)
	}
	return seen
}

// pace is the time between two requests of an asker. Each request is a
// connection, and the kernel keeps the port of a closed one for a minute or two:
// without a pause the ports run out, and it is this that the test would find.
const pace = 20 * time.Millisecond

// askers request an URL from several goroutines until stop is called, which
// returns the number of requests and their errors.
func askers(url string) (stop func() (int, []error)) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failures []error
	var asked atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	for range 4 {
		wg.Go(func() {
			next := time.NewTicker(pace)
			defer next.Stop()
			for ; ctx.Err() == nil; <-next.C {
				asked.Add(1)
				if _, err := get(url); err != nil {
					mu.Lock()
					failures = append(failures, fmt.Errorf("%s: %w", time.Now().Format("15:04:05.000"), err))
					mu.Unlock()
				}
			}
		})
	}
	return func() (int, []error) {
		cancel()
		wg.Wait()
		return int(asked.Load()), failures
	}
}

var _ = Describe("Services", Ordered, ContinueOnFailure, func() {
	var w *workspace
	var cluster, node string
	BeforeAll(func() {
		w = daily.workspace("services")
		w.apply(helloWithoutNodePort())
		w.do("rollout", "status", "deployment/hello", "--timeout=30s")
		cluster = "http://" + w.service("hello").Spec.ClusterIP
		node = fmt.Sprintf("http://%s:%d", w.pods("hello")[0].Status.HostIP, w.service("hello-nodeport").Spec.Ports[0].NodePort)
	})

	It("spread over all pods from the host", func() {
		for _, url := range []string{cluster, node} {
			// A pod that became ready this moment may still be on its way to the proxy.
			Eventually(func() map[string]int { return answers(url+"/hostname", 60) }).WithTimeout(15*time.Second).Should(HaveLen(3), url)
		}
	})

	It("spread over all pods from inside a pod, the pod itself among them", func() {
		for _, url := range []string{cluster, node} {
			Eventually(func() map[string]int { return w.answersIn(w.pods("hello")[0].Name, url, 60) }).WithTimeout(15*time.Second).Should(HaveLen(3), url)
		}
	})

	It("are found by their names from inside a pod", func() {
		pod := w.pods("hello")[0].Name
		for _, name := range []string{"hello", "hello." + w.ns, "hello." + w.ns + ".svc.cluster.local"} {
			Eventually(func() (string, error) {
				return w.try("", "--namespace", w.ns, "exec", pod, "--", "get", "http://"+name)
			}).
				WithTimeout(15*time.Second).Should(ContainSubstring("hello from"), name)
		}
		out, err := w.try("", "--namespace", w.ns, "exec", pod, "--", "get", "http://missing."+w.ns)
		Expect(err).To(HaveOccurred())
		Expect(out).To(ContainSubstring("no such host"))
	})

	It("answer at the node's address as load balancers, to whom they may", func() {
		host := w.pods("hello")[0].Status.HostIP
		w.apply(balanced("first"))
		Eventually(func() []corev1.LoadBalancerIngress { return w.service("first").Status.LoadBalancer.Ingress }).
			Should(ConsistOf(HaveField("IP", host)))
		url := fmt.Sprintf("http://%s:%d", host, balancedPort)
		Eventually(func() error { _, err := get(url); return err }).WithTimeout(15 * time.Second).Should(Succeed())
		Eventually(func() map[string]int { return answers(url+"/hostname", 60) }).WithTimeout(15 * time.Second).Should(HaveLen(3))
		Eventually(func() map[string]int { return w.answersIn(w.pods("hello")[0].Name, url, 60) }).WithTimeout(15 * time.Second).Should(HaveLen(3))

		w.do("patch", "service", "first", "-p", `{"spec":{"loadBalancerSourceRanges":["198.51.100.0/24"]}}`)
		Eventually(func() error { _, err := get(url); return err }).WithTimeout(15*time.Second).ShouldNot(Succeed(), "this host is not in the range")
		w.do("patch", "service", "first", "-p", fmt.Sprintf(`{"spec":{"loadBalancerSourceRanges":["%s/32"]}}`, host))
		Eventually(func() error { _, err := get(url); return err }).WithTimeout(15 * time.Second).Should(Succeed())

		w.do("patch", "service", "first", "-p", `{"spec":{"externalTrafficPolicy":"Local"}}`)
		health := fmt.Sprintf("http://%s:%d/healthz", host, w.service("first").Spec.HealthCheckNodePort)
		Eventually(func() (string, error) { return get(health) }).WithTimeout(15 * time.Second).Should(ContainSubstring(`"localEndpoints": 3`))
		Expect(answers(url+"/hostname", 20)).NotTo(BeEmpty())

		// The second Service gets the port when the first gives it back.
		w.apply(balanced("second"))
		Eventually(func() string { return w.do("describe", "service", "second") }).Should(ContainSubstring("is taken by " + w.ns + "/first"))
		w.do("delete", "service", "first")
		Eventually(func() []corev1.LoadBalancerIngress { return w.service("second").Status.LoadBalancer.Ingress }).ShouldNot(BeEmpty())
		Eventually(func() error { _, err := get(url); return err }).WithTimeout(15 * time.Second).Should(Succeed())
		w.do("delete", "service", "second")
		Eventually(func() error { _, err := get(url); return err }).WithTimeout(15*time.Second).ShouldNot(Succeed(), "nothing answers there any more")
	})

	It("hold clients to one pod with session affinity ClientIP", func() {
		w.do("patch", "service", "hello", "-p", `{"spec":{"sessionAffinity":"ClientIP"}}`)
		Eventually(func() map[string]int { return answers(cluster+"/hostname", 20) }).Should(HaveLen(1), "one pod for one client")
		Expect(answers(cluster+"/hostname", 40)).To(HaveLen(1))
		Expect(w.answersIn(w.pods("hello")[1].Name, cluster, 40)).To(HaveLen(1))
		w.do("patch", "service", "hello", "-p", `{"spec":{"sessionAffinity":"None"}}`)
		Eventually(func() map[string]int { return answers(cluster+"/hostname", 20) }).Should(HaveLen(3), "all pods again")
	})

	It("take a deleted pod out before it stops answering", func() {
		done := askers(cluster)
		for range 3 {
			w.do("delete", "pod", w.pods("hello")[0].Name, "--wait=true")
			w.do("rollout", "status", "deployment/hello", "--timeout=30s")
		}
		asked, failures := done()
		Expect(failures).To(BeEmpty(), "of %d requests", asked)
		Expect(asked).To(BeNumerically(">", 100))
	})

	It("lose no request in a rolling update", func() {
		done := askers(node)
		w.do("set", "image", "deployment/hello", "web=coracle.dev/sample:v2")
		w.do("rollout", "status", "deployment/hello", "--timeout=60s")
		asked, failures := done()
		Expect(failures).To(BeEmpty(), "of %d requests", asked)
	})

	It("move a UDP client that never pauses to another pod when its own goes", func() {
		w.apply(`{"apiVersion":"v1","kind":"Service","metadata":{"name":"udp"},"spec":{"selector":{"app":"hello"},"ports":[{"port":53,"protocol":"UDP","targetPort":8080}]}}`)
		conn, err := net.Dial("udp", w.service("udp").Spec.ClusterIP+":53")
		Expect(err).NotTo(HaveOccurred())
		defer conn.Close()
		ask := func() string {
			_, _ = conn.Write([]byte("who"))
			_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			buf := make([]byte, 100)
			n, err := conn.Read(buf)
			if err != nil {
				return ""
			}
			return string(buf[:n])
		}
		Eventually(ask).WithTimeout(15*time.Second).ShouldNot(BeEmpty(), "a pod answers")
		first := ask()
		Expect(ask()).To(Equal(first), "one flow goes to one pod")
		w.do("delete", "pod", first, "--grace-period=1", "--wait=true")
		// The kernel would keep the flow for 30 s after the last packet, and no pause comes.
		Eventually(ask).WithTimeout(5*time.Second).WithPolling(10*time.Millisecond).ShouldNot(Or(BeEmpty(), Equal(first)), "another pod answers")
		w.do("rollout", "status", "deployment/hello", "--timeout=30s")
		w.do("delete", "service", "udp")
	})

	It("refuse connections when no pod is ready, at once", func() {
		w.do("scale", "deployment/hello", "--replicas=0")
		Eventually(func() string { _, err := get(cluster); return fmt.Sprint(err) }).Should(ContainSubstring("connection refused"))
		w.do("delete", "service", "hello", "hello-nodeport")
	})
})
