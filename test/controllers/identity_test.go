package controllers

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestPublishedTrust checks the published authorities that clients verify with,
// and that they are restored after a deletion.
func TestPublishedTrust(t *testing.T) {
	m := start(t, 0)
	const system = "kube-system"
	var authentication, tracking corev1.ConfigMap
	m.Eventually(func() error { return m.get(&authentication, system, "extension-apiserver-authentication") }).Should(Succeed())
	for _, key := range []string{"client-ca-file", "requestheader-client-ca-file", "requestheader-allowed-names", "requestheader-username-headers",
		"requestheader-uid-headers", "requestheader-group-headers", "requestheader-extra-headers-prefix"} {
		m.Expect(authentication.Data).To(HaveKey(key))
	}
	m.Eventually(func() error {
		return m.get(&tracking, system, "kube-apiserver-legacy-service-account-token-tracking")
	}).Should(Succeed())
	m.Expect(tracking.Data).To(HaveKeyWithValue("since", m.clock.Now().UTC().Format(time.DateOnly)))
	var bundles certificatesv1.ClusterTrustBundleList
	published := func() []certificatesv1.ClusterTrustBundle {
		m.Expect(m.Client.List(t.Context(), &bundles)).To(Succeed())
		return bundles.Items
	}
	m.Eventually(published).Should(HaveLen(1))
	bundle := bundles.Items[0]
	m.Expect(bundle.Name).To(HavePrefix("kubernetes.io:kube-apiserver-serving:"))
	m.Expect(bundle.Spec).To(Equal(certificatesv1.ClusterTrustBundleSpec{
		SignerName: "kubernetes.io/kube-apiserver-serving", TrustBundle: authentication.Data["client-ca-file"]}))

	for _, o := range []client.Object{&authentication, &tracking, &bundle} {
		was := o.GetUID()
		m.Expect(m.Client.Delete(t.Context(), o)).To(Succeed())
		m.Eventually(func(g Gomega) {
			again := o.DeepCopyObject().(client.Object)
			g.Expect(m.get(again, o.GetNamespace(), o.GetName())).To(Succeed())
			g.Expect(again.GetUID()).NotTo(Equal(was))
		}).Should(Succeed())
	}
}

// TestUnusedLegacyToken lets a token that an account lists be unused for two years.
func TestUnusedLegacyToken(t *testing.T) {
	m := start(t, 0)
	name := metav1.ObjectMeta{Namespace: "default", Name: "old"}
	m.Expect(m.Client.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: name, Secrets: []corev1.ObjectReference{{Name: "old"}}})).To(Succeed())
	secret := &corev1.Secret{ObjectMeta: name, Type: corev1.SecretTypeServiceAccountToken}
	secret.Annotations = map[string]string{corev1.ServiceAccountNameKey: "old"}
	m.Expect(m.Client.Create(t.Context(), secret)).To(Succeed())
	m.Eventually(func() map[string][]byte {
		m.Expect(m.get(secret, "default", "old")).To(Succeed())
		return secret.Data
	}).Should(HaveKey("token"))
	m.leap(360 * 24 * time.Hour)
	m.Consistently(func() map[string]string {
		m.Expect(m.get(secret, "default", "old")).To(Succeed())
		return secret.Labels
	}).Should(BeEmpty())
	m.leap(7 * 24 * time.Hour)
	m.Eventually(func() map[string]string {
		m.Expect(m.get(secret, "default", "old")).To(Succeed())
		return secret.Labels
	}).Should(HaveKeyWithValue("kubernetes.io/legacy-token-invalid-since", m.clock.Now().UTC().Format(time.DateOnly)))
	m.leap(367 * 24 * time.Hour)
	m.gone(secret, "default", "old")
}

// TestClaimFromTemplate follows a claim from the template, which comes after
// the pod, through use, to its end with the pod.
func TestClaimFromTemplate(t *testing.T) {
	m := start(t, 0)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p"}, Spec: corev1.PodSpec{
		Containers:     []corev1.Container{{Name: "c", Image: "x", Resources: corev1.ResourceRequirements{Claims: []corev1.ResourceClaim{{Name: "gpu"}}}}},
		ResourceClaims: []corev1.PodResourceClaim{{Name: "gpu", ResourceClaimTemplateName: ptr.To("t")}},
	}}
	m.Expect(m.Client.Create(t.Context(), pod)).To(Succeed())
	m.Expect(m.Client.Create(t.Context(), &resourcev1.ResourceClaimTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "t"},
		Spec: resourcev1.ResourceClaimTemplateSpec{Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{
			{Name: "r", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: "gpu.example.com"}}}}}}})).To(Succeed())
	m.Eventually(func() []corev1.PodResourceClaimStatus {
		m.Expect(m.get(pod, "default", "p")).To(Succeed())
		return pod.Status.ResourceClaimStatuses
	}).Should(HaveLen(1))
	var claim resourcev1.ResourceClaim
	m.Expect(m.get(&claim, "default", *pod.Status.ResourceClaimStatuses[0].ResourceClaimName)).To(Succeed())
	m.Expect(metav1.IsControlledBy(&claim, pod)).To(BeTrue())

	claim.Finalizers = []string{resourcev1.Finalizer}
	m.Expect(m.Client.Update(t.Context(), &claim)).To(Succeed())
	claim.Status.Allocation = &resourcev1.AllocationResult{}
	claim.Status.ReservedFor = []resourcev1.ResourceClaimConsumerReference{{Resource: "pods", Name: "p", UID: pod.UID}}
	m.Expect(m.Client.Status().Update(t.Context(), &claim)).To(Succeed())
	m.Consistently(func() *resourcev1.AllocationResult {
		m.Expect(m.get(&claim, "default", claim.Name)).To(Succeed())
		return claim.Status.Allocation
	}).ShouldNot(BeNil())
	m.Expect(m.Client.Delete(t.Context(), pod)).To(Succeed())
	m.gone(&claim, "default", claim.Name)
}
