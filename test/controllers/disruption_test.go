package controllers

import (
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestBudgetsAreKept(t *testing.T) {
	m := start(t, 1)
	d := deployment("web", func(s *appsv1.DeploymentSpec) { s.Replicas = ptr.To[int32](3) })
	// Pods that were evicted are not replaced by ready ones.
	d.Spec.MinReadySeconds = 0
	m.Expect(m.Client.Create(t.Context(), d)).To(Succeed())
	b := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: policyv1.PodDisruptionBudgetSpec{
		Selector: d.Spec.Selector, MaxUnavailable: ptr.To(intstr.FromInt32(1)),
	}}
	m.Expect(m.Client.Create(t.Context(), b)).To(Succeed())
	status := func() string {
		m.Expect(m.get(b, "default", "web")).To(Succeed())
		s := b.Status
		return fmt.Sprint(s.ExpectedPods, s.DesiredHealthy, s.CurrentHealthy, s.DisruptionsAllowed, meta.IsStatusConditionTrue(s.Conditions, "DisruptionAllowed"))
	}
	m.Eventually(status).Should(Equal("3 2 3 1 true"))

	edit(m, b, func(b *policyv1.PodDisruptionBudget) { b.Spec.MaxUnavailable = ptr.To(intstr.FromInt32(0)) })
	m.Eventually(status).Should(Equal("3 3 3 0 false"))
	var pods corev1.PodList
	m.Expect(m.Client.List(t.Context(), &pods, client.InNamespace("default"))).To(Succeed())
	evict := func() error {
		return m.Client.SubResource("eviction").Create(t.Context(), &pods.Items[0], &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pods.Items[0].Name}})
	}
	m.Expect(apierrors.IsTooManyRequests(evict())).To(BeTrue())
	edit(m, b, func(b *policyv1.PodDisruptionBudget) { b.Spec.MaxUnavailable = ptr.To(intstr.FromString("50%")) })
	m.Eventually(status).Should(Equal("3 1 3 2 true"))
	m.Expect(evict()).To(Succeed())
	m.Eventually(status).Should(Equal("3 1 3 2 true"), "the pod is replaced")

	// Pods of an owner without a scale allow no disruption, by the condition.
	s := daemonSet("agent")
	m.Expect(m.Client.Create(t.Context(), s)).To(Succeed())
	none := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "agent"}, Spec: policyv1.PodDisruptionBudgetSpec{
		Selector: s.Spec.Selector, MaxUnavailable: ptr.To(intstr.FromInt32(1)),
	}}
	m.Expect(m.Client.Create(t.Context(), none)).To(Succeed())
	m.Eventually(func() string {
		m.Expect(m.get(none, "default", "agent")).To(Succeed())
		if c := meta.FindStatusCondition(none.Status.Conditions, "DisruptionAllowed"); c != nil {
			return c.Reason + ": " + c.Message
		}
		return ""
	}).Should(Equal("SyncFailed: daemonsets.apps does not implement the scale subresource"))
}
