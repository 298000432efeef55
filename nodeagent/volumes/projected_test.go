//go:build linux

package volumes

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllertest"
)

// readingCache reads from the fake server; tests deliver its events.
type readingCache struct {
	informertest.FakeInformers
	reader client.Reader
}

func (c *readingCache) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	return c.reader.Get(ctx, key, obj, opts...)
}

func (c *readingCache) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return c.reader.List(ctx, list, opts...)
}

func (w *world) informer(obj client.Object) *controllertest.FakeInformer {
	i, err := w.cache.FakeInformerFor(context.Background(), obj)
	w.Expect(err).NotTo(HaveOccurred())
	return i
}

func certificate(text string) string {
	// Only the form matters here: one PEM block.
	return fmt.Sprintf("-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n", text)
}

func bundle(name, signer, label string, certificates ...string) *certificatesv1.ClusterTrustBundle {
	return &certificatesv1.ClusterTrustBundle{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"l": label}},
		Spec:       certificatesv1.ClusterTrustBundleSpec{SignerName: signer, TrustBundle: strings.Join(certificates, "")},
	}
}

func projection(sources ...corev1.VolumeProjection) corev1.Volume {
	return corev1.Volume{Name: "p", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: sources}}}
}

func TestTrustBundles(t *testing.T) {
	const signer = "example.com/s"
	one, two, three := certificate("AAAA"), certificate("BBBB"), certificate("CCCC")
	w := newWorld(t, bundle("plain", "", "", one), bundle("example.com:s:a", signer, "x", two, one), bundle("example.com:s:b", signer, "x", two),
		bundle("example.com:s:c", signer, "y", three), bundle("example.com:t:a", "example.com/t", "x", three))
	var retried []types.UID
	w.m.OnRetry(func(uid types.UID) { retried = append(retried, uid) })
	p := pod(projection(
		corev1.VolumeProjection{ClusterTrustBundle: &corev1.ClusterTrustBundleProjection{Path: "name", Name: new("plain")}},
		corev1.VolumeProjection{ClusterTrustBundle: &corev1.ClusterTrustBundleProjection{Path: "labels", SignerName: new(signer), LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"l": "x"}}}},
		corev1.VolumeProjection{ClusterTrustBundle: &corev1.ClusterTrustBundleProjection{Path: "all", SignerName: new(signer), LabelSelector: &metav1.LabelSelector{}}},
		corev1.VolumeProjection{ClusterTrustBundle: &corev1.ClusterTrustBundleProjection{Path: "none", SignerName: new(signer), Optional: new(true)}},
		corev1.VolumeProjection{ClusterTrustBundle: &corev1.ClusterTrustBundleProjection{Path: "absent", Name: new("absent"), Optional: new(true)}},
	))
	mounted, err := w.m.Mount(t.Context(), p)
	w.Expect(err).NotTo(HaveOccurred())
	dir := mounted["p"].Path
	for file, want := range map[string]string{"name": one, "labels": one + two, "all": one + two + three, "none": "", "absent": ""} {
		w.Expect(w.read(dir+"/"+file)()).To(Equal(want), file)
	}
	info, err := os.Stat(dir + "/name")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o644)))

	absent := bundle("absent", "", "", three)
	w.Expect(w.client.Create(t.Context(), absent)).To(Succeed())
	w.informer(absent).Add(absent)
	w.Eventually(w.read(dir+"/absent"), 5*time.Second).Should(Equal(three))
	w.Expect(retried).To(ConsistOf(p.UID))
	// Of others' bundles it hears nothing.
	w.informer(absent).Add(bundle("example.com:t:b", "example.com/t", "x", one))
	w.Expect(retried).To(HaveLen(1))
}

func TestTrustBundlesMissing(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		source corev1.ClusterTrustBundleProjection
		err    string
	}{
		{corev1.ClusterTrustBundleProjection{Name: new("x")}, `while getting ClusterTrustBundle: clustertrustbundle.certificates.k8s.io "x" not found`},
		{corev1.ClusterTrustBundleProjection{SignerName: new("a.b/c"), LabelSelector: &metav1.LabelSelector{}}, "combination of signerName and labelSelector matched zero ClusterTrustBundles"},
		{corev1.ClusterTrustBundleProjection{}, "ClusterTrustBundle projection requires either name or signerName to be set"},
	} {
		c.source.Path = "f"
		_, err := w.m.Mount(t.Context(), pod(projection(corev1.VolumeProjection{ClusterTrustBundle: &c.source})))
		w.Expect(err).To(MatchError(`MountVolume.SetUp failed for volume "p" : ` + c.err))
	}
}

func TestPodCertificates(t *testing.T) {
	w := newWorld(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node", UID: "node-uid"}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "sa", UID: "sa-uid"}})
	retries := make(chan types.UID, 10)
	w.m.OnRetry(func(uid types.UID) { retries <- uid })
	p := pod(projection(corev1.VolumeProjection{PodCertificate: &corev1.PodCertificateProjection{
		SignerName: "example.com/s", KeyType: "ED25519", CredentialBundlePath: "both", KeyPath: "key", CertificateChainPath: "chain",
		MaxExpirationSeconds: new(int32(7200)), UserAnnotations: map[string]string{"example.com/a": "b"}}}))
	for range 2 { // the second finds the request of the first
		_, err := w.m.Mount(t.Context(), p)
		w.Expect(err).To(MatchError(`MountVolume.SetUp failed for volume "p" : credential bundle is not issued yet`))
	}
	first := w.onlyRequest()
	w.Expect(first.Spec.StubPKCS10Request).NotTo(BeEmpty())
	w.Expect(first.OwnerReferences).To(ConsistOf(metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: "pod", UID: "uid-1"}))
	first.Spec.StubPKCS10Request = nil
	w.Expect(first.Spec).To(Equal(certificatesv1.PodCertificateRequestSpec{
		SignerName: "example.com/s", PodName: "pod", PodUID: "uid-1", ServiceAccountName: "sa", ServiceAccountUID: "sa-uid", NodeName: "node", NodeUID: "node-uid",
		MaxExpirationSeconds: new(int32(7200)), UnverifiedUserAnnotations: map[string]string{"example.com/a": "b"}}))

	w.issue(certificate("AAAA"))
	w.Expect(<-retries).To(Equal(p.UID))
	mounted, err := w.m.Mount(t.Context(), p)
	w.Expect(err).NotTo(HaveOccurred())
	dir := mounted["p"].Path
	w.Expect(w.read(dir + "/chain")()).To(Equal(certificate("AAAA")))
	key := w.read(dir + "/key")()
	w.Expect(key).To(HavePrefix("-----BEGIN PRIVATE KEY-----\n"))
	w.Expect(w.read(dir + "/both")()).To(Equal(key + certificate("AAAA")))

	// Renewed when its time has come, five minutes later at most, not before.
	w.Expect(w.client.Delete(t.Context(), w.onlyRequest())).To(Succeed())
	w.clock.Step(59 * time.Minute)
	w.Consistently(w.requests, 50*time.Millisecond).Should(BeEmpty())
	w.clock.Step(6 * time.Minute)
	w.Eventually(w.requests, 5*time.Second).Should(HaveLen(1))
	w.Expect(w.read(dir + "/key")()).To(Equal(key))
	w.issue(certificate("BBBB"))
	w.Eventually(w.read(dir+"/chain"), 5*time.Second).Should(Equal(certificate("BBBB")))
	w.Expect(w.read(dir + "/key")()).NotTo(Equal(key))
}

func (w *world) requests() []certificatesv1.PodCertificateRequest {
	list := &certificatesv1.PodCertificateRequestList{}
	w.Expect(w.client.List(context.Background(), list)).To(Succeed())
	return list.Items
}

func (w *world) onlyRequest() *certificatesv1.PodCertificateRequest {
	all := w.requests()
	w.Expect(all).To(HaveLen(1))
	return &all[0]
}

// issue answers the request with a chain to be refreshed after an hour.
func (w *world) issue(chain string) {
	r := w.onlyRequest()
	before := r.DeepCopy()
	refresh, end := metav1.NewTime(w.clock.Now().Add(time.Hour)), metav1.NewTime(w.clock.Now().Add(2*time.Hour))
	r.Status = certificatesv1.PodCertificateRequestStatus{CertificateChain: chain, BeginRefreshAt: &refresh, NotAfter: &end,
		Conditions: []metav1.Condition{{Type: certificatesv1.PodCertificateRequestConditionTypeIssued, Status: metav1.ConditionTrue}}}
	w.Expect(w.client.Update(context.Background(), r)).To(Succeed())
	w.informer(r).Update(before, r)
}
