package controllers

import (
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func daemonSet(name string) *appsv1.DaemonSet {
	s := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	s.Spec.Selector, s.Spec.Template = template(name)
	return s
}

func TestDaemonSetLife(t *testing.T) {
	m := start(t, 4)
	s := daemonSet("agent")
	m.Expect(m.Client.Create(t.Context(), s)).To(Succeed())
	counts := func() string {
		m.Expect(m.get(s, "default", "agent")).To(Succeed())
		st := s.Status
		return fmt.Sprint(st.ObservedGeneration == s.Generation, st.DesiredNumberScheduled, st.CurrentNumberScheduled, st.UpdatedNumberScheduled, st.NumberAvailable, st.NumberMisscheduled)
	}
	m.Eventually(counts).Should(Equal("true 4 4 4 4 0"))
	pods := func() map[types.UID]string {
		var list corev1.PodList
		m.Expect(m.Client.List(t.Context(), &list, client.InNamespace("default"))).To(Succeed())
		nodes := map[types.UID]string{}
		for _, p := range list.Items {
			nodes[p.UID] = p.Spec.NodeName
		}
		return nodes
	}
	first := pods()
	m.Expect(first).To(HaveLen(4))

	edit(m, s, func(s *appsv1.DaemonSet) { s.Spec.Template.Spec.Containers[0].Image = "y" })
	m.Eventually(counts).Should(Equal("true 4 4 4 4 0"))
	for uid := range pods() {
		m.Expect(first).NotTo(HaveKey(uid), "all pods are new")
	}
	var revisions appsv1.ControllerRevisionList
	m.Expect(m.Client.List(t.Context(), &revisions, client.InNamespace("default"))).To(Succeed())
	m.Expect(revisions.Items).To(HaveLen(2))

	var node corev1.Node
	for _, n := range pods() {
		node.Name = n
	}
	edit(m, &node, func(n *corev1.Node) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: "k", Effect: corev1.TaintEffectNoSchedule})
	})
	m.Eventually(counts).Should(Equal("true 3 3 3 3 1"), "a pod that is there may stay")
	edit(m, s, func(s *appsv1.DaemonSet) {
		s.Spec.Template.Spec.NodeSelector = map[string]string{corev1.LabelHostname: node.Name}
		s.Spec.Template.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	})
	m.Eventually(counts).Should(Equal("true 1 1 1 1 0"))
	m.Eventually(pods).Should(HaveLen(1))
}
