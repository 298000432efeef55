package controllers

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// TestDeviceTaints has a pod scheduled onto a device, which a rule then taints.
func TestDeviceTaints(t *testing.T) {
	m := start(t, 1)
	var nodes corev1.NodeList
	m.Eventually(func() int { m.Expect(m.Client.List(t.Context(), &nodes)).To(Succeed()); return len(nodes.Items) }).Should(Equal(1))
	slice := &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: "slice"}, Spec: resourcev1.ResourceSliceSpec{
		Driver: "d.example.com", NodeName: &nodes.Items[0].Name, Pool: resourcev1.ResourcePool{Name: "p", ResourceSliceCount: 1},
		Devices: []resourcev1.Device{{Name: "x"}}}}
	m.Expect(m.Client.Create(t.Context(), slice)).To(Succeed())
	m.Expect(m.Client.Create(t.Context(), &resourcev1.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: "any"}})).To(Succeed())
	claim := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "c"}, Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{
		Requests: []resourcev1.DeviceRequest{{Name: "r", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: "any"}}}}}}
	m.Expect(m.Client.Create(t.Context(), claim)).To(Succeed())
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p"}, Spec: corev1.PodSpec{
		Containers:     []corev1.Container{{Name: "c", Image: "i"}},
		ResourceClaims: []corev1.PodResourceClaim{{Name: "r", ResourceClaimName: &claim.Name}}}}
	m.Expect(m.Client.Create(t.Context(), pod)).To(Succeed())
	m.Eventually(func() string { m.Expect(m.get(pod, "default", "p")).To(Succeed()); return pod.Spec.NodeName }).ShouldNot(BeEmpty())

	rule := &resourcev1.DeviceTaintRule{ObjectMeta: metav1.ObjectMeta{Name: "broken"}, Spec: resourcev1.DeviceTaintRuleSpec{
		DeviceSelector: &resourcev1.DeviceTaintSelector{Driver: ptr.To("d.example.com")},
		Taint:          resourcev1.DeviceTaint{Key: "broken", Effect: resourcev1.DeviceTaintEffectNoExecute, TimeAdded: ptr.To(metav1.NewTime(m.clock.Now()))}}}
	m.Expect(m.Client.Create(t.Context(), rule)).To(Succeed())
	m.Eventually(func() bool { return apierrors.IsNotFound(m.get(pod, "default", "p")) || pod.DeletionTimestamp != nil }).Should(BeTrue(), "the pod is evicted")
	m.Eventually(func() string {
		m.move(horizon)
		m.Expect(m.get(rule, "", "broken")).To(Succeed())
		if len(rule.Status.Conditions) == 0 {
			return ""
		}
		return rule.Status.Conditions[0].Reason
	}).Should(Equal("Completed"))
}
