package controllers

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// TestQuotaOfStorageAndDevices charges claims for volumes by class and by
// attributes class, and claims for devices by theirs, and gives back.
func TestQuotaOfStorageAndDevices(t *testing.T) {
	m := start(t, 0)
	hard := func(kv ...string) corev1.ResourceList {
		out := corev1.ResourceList{}
		for i := 0; i < len(kv); i += 2 {
			out[corev1.ResourceName(kv[i])] = resource.MustParse(kv[i+1])
		}
		return out
	}
	quota := func(name string, spec corev1.ResourceQuotaSpec) {
		m.Expect(m.Client.Create(t.Context(), &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: spec})).To(Succeed())
		m.Eventually(func() int {
			var q corev1.ResourceQuota
			m.Expect(m.get(&q, "default", name)).To(Succeed())
			return len(q.Status.Used)
		}).Should(Equal(len(spec.Hard)))
	}
	quota("all", corev1.ResourceQuotaSpec{Hard: hard(
		"requests.storage", "4Gi", "gold.storageclass.storage.k8s.io/requests.storage", "2Gi", "gold.storageclass.storage.k8s.io/persistentvolumeclaims", "2",
		"count/resourceclaims.resource.k8s.io", "5", "gpu.deviceclass.resource.k8s.io/devices", "3",
	)})
	quota("fast", corev1.ResourceQuotaSpec{Hard: hard("persistentvolumeclaims", "1"), ScopeSelector: &corev1.ScopeSelector{
		MatchExpressions: []corev1.ScopedResourceSelectorRequirement{{ScopeName: corev1.ResourceQuotaScopeVolumeAttributesClass, Operator: corev1.ScopeSelectorOpIn, Values: []string{"fast"}}}}})
	used := func(name, of string) func() string {
		return func() string {
			var q corev1.ResourceQuota
			m.Expect(m.get(&q, "default", name)).To(Succeed())
			n := q.Status.Used[corev1.ResourceName(of)]
			return n.String()
		}
	}
	create := func(name, class string, change func(*corev1.PersistentVolumeClaim)) error {
		c := claim(name, ptr.To(class))
		change(c)
		return m.Client.Create(t.Context(), c)
	}
	same := func(*corev1.PersistentVolumeClaim) {}
	fast := func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeAttributesClassName = ptr.To("fast") }
	m.Expect(create("a", "gold", same)).To(Succeed())
	m.Expect(create("b", "gold", fast)).To(Succeed())
	err := create("c", "gold", same)
	m.Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
	m.Expect(err.Error()).To(ContainSubstring("exceeded quota: all, requested: gold.storageclass.storage.k8s.io/persistentvolumeclaims=1"))
	err = create("d", "silver", fast)
	m.Expect(err).To(MatchError(ContainSubstring("exceeded quota: fast, requested: persistentvolumeclaims=1, used: persistentvolumeclaims=1, limited: persistentvolumeclaims=1")))
	m.Eventually(used("all", "requests.storage")).Should(Equal("2Gi"), "also if the first of two quotas was charged for what the second refused")
	m.Expect(m.Client.Delete(t.Context(), &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "b"}})).To(Succeed())
	m.Eventually(used("all", "requests.storage")).Should(Equal("1Gi"))
	m.Eventually(used("fast", "persistentvolumeclaims")).Should(Equal("0"))

	devices := func(name string, n int64) error {
		return m.Client.Create(t.Context(), &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: resourcev1.ResourceClaimSpec{
			Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{{Name: "r", Exactly: &resourcev1.ExactDeviceRequest{
				DeviceClassName: "gpu", AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: n}}}}}})
	}
	m.Expect(devices("two", 2)).To(Succeed())
	m.Expect(devices("more", 2)).To(MatchError(ContainSubstring("exceeded quota: all, requested: gpu.deviceclass.resource.k8s.io/devices=2")))
	m.Expect(used("all", "count/resourceclaims.resource.k8s.io")()).To(Equal("1"))
	m.Expect(m.Client.Delete(t.Context(), &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "two"}})).To(Succeed())
	m.Eventually(used("all", "gpu.deviceclass.resource.k8s.io/devices")).Should(Equal("0"))
}
