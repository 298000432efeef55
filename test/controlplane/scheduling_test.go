package controlplane

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/test/env"
)

// pod returns a manifest of a pod with more fields in its spec, each of its own line.
func pod(name string, more ...string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: %[1]s, labels: {app: %[1]s}}
spec:
  %[2]s
  containers:
  - {name: main, image: "example.test/main:1"}
`, name, strings.Join(more, "\n  "))
}

var _ = Describe("scheduling", Ordered, func() {
	var w world
	var nodes []string

	BeforeAll(func() {
		w = begin(env.WithNodes(3))
		Eventually(func() []string {
			var list corev1.NodeList
			w.list(&list, "")
			nodes = nil
			for _, n := range list.Items {
				nodes = append(nodes, n.Name)
			}
			return nodes
		}).Should(HaveLen(3), "three nodes register")
		w.ok("wait", "--for=condition=Ready", "node", "--all", "--timeout=20s")
	})

	failure := func(name string) func() string {
		return func() string {
			return w.ok("get", "events", "--field-selector", "reason=FailedScheduling,involvedObject.name="+name, "-o", "jsonpath={.items[*].message}{.items[*].note}")
		}
	}

	It("reports why a pod cannot be scheduled, per node", func() {
		w.ok("taint", "node", nodes[0], "dedicated=infra:NoSchedule")
		w.ok("cordon", nodes[1])
		w.apply(pod("nowhere", "nodeSelector: {disk: ssd}"))
		Eventually(failure("nowhere")).Should(ContainSubstring("0/3 nodes are available: "))
		Expect(failure("nowhere")()).To(And(
			ContainSubstring("1 node(s) didn't match Pod's node affinity/selector"),
			ContainSubstring("1 node(s) were unschedulable"),
			ContainSubstring("1 node(s) had untolerated taint"),
			ContainSubstring("preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.")))
		Expect(w.ok("get", "pod", "nowhere", "-o", `jsonpath={.status.conditions[?(@.type=="PodScheduled")].reason}`)).To(Equal("Unschedulable"))
		Expect(w.ok("describe", "pod", "nowhere")).To(MatchRegexp(`Warning +FailedScheduling`))
		w.ok("taint", "node", nodes[0], "dedicated-")
		w.ok("uncordon", nodes[1])
	})

	It("schedules it as soon as a node fits", func() {
		w.ok("label", "node", nodes[2], "disk=ssd")
		w.ok("wait", "--for=condition=Ready", "pod/nowhere", "--timeout=20s")
		Expect(w.ok("get", "pod", "nowhere", "-o", "jsonpath={.spec.nodeName}")).To(Equal(nodes[2]))
	})

	It("reports which resource is short", func() {
		w.apply(strings.Replace(pod("huge"), `image: "example.test/main:1"`, `image: x, resources: {requests: {cpu: "1000", memory: 9Ti}}`, 1))
		Eventually(failure("huge")).Should(And(ContainSubstring("3 Insufficient cpu"), ContainSubstring("3 Insufficient memory")))
		w.ok("delete", "pod", "huge")
	})

	It("keeps a gated pod until the gate is gone", func() {
		w.apply(pod("gated", "schedulingGates: [{name: example.test/gate}]"))
		Eventually(func() string { return w.ok("get", "pod", "gated") }).Should(ContainSubstring("SchedulingGated"))
		w.ok("patch", "pod", "gated", "--type=json", `-p=[{"op":"remove","path":"/spec/schedulingGates"}]`)
		w.ok("wait", "--for=condition=Ready", "pod/gated", "--timeout=20s")
	})

	It("spreads by topology and keeps anti-affine pods apart", func() {
		w.apply(strings.Replace(deployment("apart", 3), "spec:\n      containers", `spec:
      affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: apart}}}]}}
      containers`, 1))
		w.ok("rollout", "status", "deployment/apart", "--timeout=30s")
		on := map[string]int{}
		var list corev1.PodList
		w.list(&list, "default", client.MatchingLabels{"app": "apart"})
		for _, p := range list.Items {
			on[p.Spec.NodeName]++
		}
		Expect(on).To(HaveLen(3))
		w.ok("scale", "deployment/apart", "--replicas=4")
		Eventually(func() string {
			return w.ok("get", "events", "--field-selector", "reason=FailedScheduling", "-o", "jsonpath={.items[*].message}{.items[*].note}")
		}).Should(ContainSubstring("3 node(s) didn't match pod anti-affinity rules"))
		w.ok("delete", "deployment", "apart")
	})

	It("drains a node and takes it back", func() {
		w.apply(deployment("moved", 6))
		w.ok("rollout", "status", "deployment/moved", "--timeout=30s")
		w.ok("drain", nodes[0], "--ignore-daemonsets", "--force", "--timeout=30s")
		w.ok("rollout", "status", "deployment/moved", "--timeout=30s")
		var list corev1.PodList
		w.list(&list, "default", client.MatchingFields{"spec.nodeName": nodes[0]})
		Expect(list.Items).To(BeEmpty())
		w.ok("uncordon", nodes[0])
		w.ok("delete", "deployment", "moved")
	})

	It("does not evict more than a budget allows", func() {
		w.apply(deployment("guarded", 2))
		w.ok("rollout", "status", "deployment/guarded", "--timeout=30s")
		w.ok("create", "pdb", "guarded", "--selector=app=guarded", "--min-available=2")
		w.ok("patch", "pdb", "guarded", "--subresource=status", "--type=merge", `-p={"status":{"observedGeneration":1,"disruptionsAllowed":0,"currentHealthy":2,"desiredHealthy":2,"expectedPods":2}}`)
		name := strings.Fields(w.ok("get", "pods", "-l", "app=guarded", "-o", "name"))[0]
		node := w.ok("get", name, "-o", "jsonpath={.spec.nodeName}")
		Expect(w.fails("", "drain", node, "--force", "--pod-selector=app=guarded", "--timeout=2s")).To(ContainSubstring("Cannot evict pod as it would violate the pod's disruption budget"))
		w.ok("uncordon", node)
		w.ok("delete", "pdb", "guarded")
		w.ok("delete", "deployment", "guarded")
	})

	It("preempts for an extended resource that a node advertises", func() {
		w.ok("patch", "node", nodes[1], "--subresource=status", "--type=merge", `-p={"status":{"capacity":{"example.test/foo":"5"},"allocatable":{"example.test/foo":"5"}}}`)
		for name, value := range map[string]int{"low": 1, "high": 1000} {
			w.ok("create", "priorityclass", name, fmt.Sprint("--value=", value))
		}
		asks := func(name, class string, more ...string) string {
			return strings.Replace(pod(name, append(more, "priorityClassName: "+class)...), `image: "example.test/main:1"`,
				`image: x, resources: {limits: {example.test/foo: "3"}}`, 1)
		}
		victim := strings.Replace(asks("victim", "low"), "labels:", "finalizers: [example.test/keep], labels:", 1)
		w.apply(victim)
		w.ok("wait", "--for=condition=Ready", "pod/victim", "--timeout=20s")
		w.apply(asks("preemptor", "high"))
		Eventually(func() string {
			return w.ok("get", "pod", "victim", "-o", `jsonpath={.status.conditions[?(@.type=="DisruptionTarget")].reason}`)
		}).Should(Equal("PreemptionByScheduler"))
		w.ok("patch", "pod", "victim", "--type=json", `-p=[{"op":"remove","path":"/metadata/finalizers"}]`)
		w.ok("wait", "--for=condition=Ready", "pod/preemptor", "--timeout=20s")
		Expect(w.ok("get", "pod", "preemptor", "-o", "jsonpath={.spec.nodeName}")).To(Equal(nodes[1]))
	})

	It("gives each node a range of pod addresses of its own", func() {
		seen := map[string]bool{}
		for _, name := range nodes {
			var ranges string
			Eventually(func() string {
				ranges = w.ok("get", "node", name, "-o", "jsonpath={.spec.podCIDR} {.spec.podCIDRs[*]}")
				return ranges
			}).Should(MatchRegexp(`^(10\.244\.\d+\.0/24) 10\.244\.\d+\.0/24$`))
			seen[ranges] = true
		}
		Expect(seen).To(HaveLen(3))
	})
})
