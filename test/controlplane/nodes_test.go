package controlplane

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/test/env"
)

// grace is a little longer than what lies between two signs of life of the node
// that stays: were all nodes silent, none would be evicted from.
const grace = 12 * time.Second

// silentNode returns a node without an agent, whose status was set to ready once.
func silentNode(name string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubernetes.io/hostname": name}},
		Status: corev1.NodeStatus{
			Capacity: capacity(), Allocatable: capacity(),
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now()}},
		},
	}
}

var _ = Describe("a node that goes silent", Ordered, func() {
	var w world

	BeforeAll(func(ctx SpecContext) {
		w = begin(env.WithConfig(func(c *v1alpha1.Cluster) { c.Controllers.NodeMonitorGracePeriod = metav1.Duration{Duration: grace} }))
		node := silentNode("silent")
		status := node.Status
		Expect(w.Client.Create(ctx, node)).To(Succeed())
		was := node.DeepCopy()
		node.Status = status
		Expect(w.Client.Status().Patch(ctx, node, client.MergeFrom(was))).To(Succeed())
		now := metav1.NowMicro()
		Expect(w.Client.Create(ctx, &coordinationv1.Lease{ObjectMeta: named("kube-node-lease", "silent"), Spec: coordinationv1.LeaseSpec{RenewTime: &now}})).To(Succeed())
		w.apply(pod("stays", "nodeName: silent", "tolerations: [{operator: Exists}]"))
		w.apply(pod("leaves", "nodeName: silent", "tolerations: [{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 1}]"))
	}, NodeTimeout(time.Minute))

	It("becomes Unknown", func() {
		w.ok("wait", "--for=condition=Ready=Unknown", "node/silent", "--timeout=40s")
		Expect(w.ok("get", "node", "silent", "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].reason} {.status.conditions[?(@.type=="Ready")].message}`)).To(Equal("NodeStatusUnknown Kubelet stopped posting node status."))
		Expect(w.ok("get", "node", "silent")).To(MatchRegexp(`silent +NotReady`))
		Eventually(func() string { return w.ok("get", "events", "--field-selector=involvedObject.name=silent") }).Should(ContainSubstring("NodeNotReady"))
	})

	It("is tainted", func() {
		Eventually(func(g Gomega) {
			var node corev1.Node
			w.get(&node, "", "silent")
			found := map[corev1.TaintEffect]bool{}
			for _, t := range node.Spec.Taints {
				if t.Key == corev1.TaintNodeUnreachable {
					found[t.Effect] = true
				}
			}
			g.Expect(found).To(Equal(map[corev1.TaintEffect]bool{corev1.TaintEffectNoSchedule: true, corev1.TaintEffectNoExecute: true}))
		}).Should(Succeed(), "it gets both taints")
	})

	It("loses the pods that do not tolerate it", func() {
		Eventually(func(g Gomega) {
			var p corev1.Pod
			w.get(&p, "default", "leaves")
			g.Expect(p.DeletionTimestamp).NotTo(BeNil())
			g.Expect(p.Status.Conditions).To(ContainElement(And(HaveField("Type", corev1.DisruptionTarget), HaveField("Reason", "DeletionByTaintManager"))))
		}).Should(Succeed(), "the pod is marked for deletion")
		Expect(w.ok("get", "events")).To(ContainSubstring("TaintManagerEviction"))
		var p corev1.Pod
		w.get(&p, "default", "stays")
		Expect(p.DeletionTimestamp).To(BeNil())
	})
})

func capacity() corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("8Gi"), corev1.ResourcePods: resource.MustParse("110")}
}
