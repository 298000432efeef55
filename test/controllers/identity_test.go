package controllers

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestPublishedTrust sees what tells others whom to believe, and that it comes
// back when somebody takes it away.
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
	m.clock.Step(360 * 24 * time.Hour)
	m.Consistently(func() map[string]string {
		m.Expect(m.get(secret, "default", "old")).To(Succeed())
		return secret.Labels
	}).Should(BeEmpty())
	m.clock.Step(7 * 24 * time.Hour)
	m.Eventually(func() map[string]string {
		m.Expect(m.get(secret, "default", "old")).To(Succeed())
		return secret.Labels
	}).Should(HaveKeyWithValue("kubernetes.io/legacy-token-invalid-since", m.clock.Now().UTC().Format(time.DateOnly)))
	m.clock.Step(367 * 24 * time.Hour)
	m.gone(secret, "default", "old")
}
