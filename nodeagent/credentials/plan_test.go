package credentials

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func after(d time.Duration) time.Time { return start.Add(d) }

// answer returns a request with the signer's answer kind; "" has not been answered.
func answer(kind string) *certificatesv1.PodCertificateRequest {
	r := &certificatesv1.PodCertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "req-1"}}
	if kind == "" {
		return r
	}
	r.Status.Conditions = []metav1.Condition{{Type: kind, Status: metav1.ConditionTrue, Reason: "Because", Message: "so"}}
	if kind == certificatesv1.PodCertificateRequestConditionTypeIssued {
		refresh, end := metav1.NewTime(after(time.Hour)), metav1.NewTime(after(2*time.Hour))
		r.Status.BeginRefreshAt, r.Status.NotAfter = &refresh, &end
		r.Status.CertificateChain = "# leaf\n" + pemOf("leaf") + "# root\n" + pemOf("root")
	}
	return r
}

func pemOf(text string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"from": "test"}, Bytes: []byte(text)}))
}

func plain(text string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(text)}))
}

func TestStep(t *testing.T) {
	waiting := credential{request: "req-1", requestKey: []byte("new")}
	fresh := credential{key: []byte("old"), chain: []byte("c"), refreshAt: after(time.Hour), notAfter: after(2 * time.Hour)}
	renewing := fresh
	renewing.request, renewing.requestKey = "req-1", []byte("new")
	for _, c := range []struct {
		name    string
		have    credential
		request *certificatesv1.PodCertificateRequest
		now     time.Duration
		ask     bool
		key     string // of the bundle
		err     string
		events  []string
		next    time.Duration // 0: never
	}{
		{name: "first", ask: true, err: "credential bundle is not issued yet"},
		{name: "waiting", have: waiting, request: answer(""), err: "credential bundle is not issued yet"},
		{name: "deleted", have: waiting, ask: true, err: "credential bundle is not issued yet"},
		{name: "issued", have: waiting, request: answer("Issued"), key: "new", next: time.Hour + time.Minute},
		{name: "denied", have: waiting, request: answer("Denied"), err: `PodCertificateRequest was permanently denied: reason="Because" message="so"`,
			events: []string{`Denied: PodCertificateRequest ns/req-1 was denied, reason="Because", message="so"`}},
		{name: "failed", have: renewing, now: time.Hour, request: answer("Failed"), err: `PodCertificateRequest was permanently failed: reason="Because" message="so"`,
			events: []string{`Failed: PodCertificateRequest ns/req-1 failed, reason="Because", message="so"`}},
		{name: "fresh", have: fresh, now: time.Hour - time.Second, key: "old", next: time.Hour},
		{name: "to be refreshed", have: fresh, now: time.Hour, ask: true, key: "old", next: time.Hour},
		{name: "renewing", have: renewing, request: answer(""), now: time.Hour, key: "old", next: time.Hour + overdueAfter + 1},
		{name: "overdue", have: renewing, request: answer(""), now: time.Hour + overdueAfter + 1, key: "old", next: 2*time.Hour + 1,
			events: []string{"CertificateOverdueForRefresh: PodCertificate refresh overdue"}},
		{name: "expired", have: renewing, request: answer(""), now: 3 * time.Hour, key: "old",
			events: []string{"CertificateOverdueForRefresh: PodCertificate refresh overdue", "CertificateExpired: PodCertificate expired"}},
		{name: "renewed", have: renewing, request: answer("Issued"), now: time.Hour, key: "new", next: time.Hour + time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := NewWithT(t)
			got, ask, events := step(c.have, c.request, time.Minute, after(c.now))
			g.Expect(ask).To(Equal(c.ask))
			var told []string
			for _, e := range events {
				told = append(told, e.reason+": "+e.message)
			}
			g.Expect(told).To(Equal(c.events))
			key, _, err := got.bundle()
			if c.err != "" {
				g.Expect(err).To(MatchError(c.err))
			} else {
				g.Expect(string(key)).To(Equal(c.key))
			}
			if c.next == 0 {
				g.Expect(got.nextLook()).To(BeZero())
			} else {
				g.Expect(got.nextLook()).To(Equal(after(c.next)))
			}
			// No event is sent twice.
			if !ask {
				again, _, events := step(got, c.request, time.Minute, after(c.now))
				g.Expect(events).To(BeEmpty())
				g.Expect(again).To(Equal(got))
			}
		})
	}
}

func TestChainIsCleaned(t *testing.T) {
	g := NewWithT(t)
	got, _, _ := step(credential{request: "req-1"}, answer("Issued"), 0, start)
	g.Expect(string(got.chain)).To(Equal(plain("leaf") + plain("root")))
}

func TestMerge(t *testing.T) {
	g := NewWithT(t)
	a, b := []string{pemOf("2") + pemOf("1"), "text\n" + pemOf("3") + pemOf("1")}, []string{pemOf("3"), pemOf("1") + pemOf("2")}
	g.Expect(string(merge(a))).To(Equal(plain("1") + plain("2") + plain("3")))
	g.Expect(merge(b)).To(Equal(merge(a)))
	g.Expect(merge(nil)).To(BeEmpty())
}

func TestKeys(t *testing.T) {
	g := NewWithT(t)
	for keyType, want := range map[string]x509.PublicKeyAlgorithm{"RSA3072": x509.RSA, "ECDSAP256": x509.ECDSA, "ECDSAP384": x509.ECDSA, "ECDSAP521": x509.ECDSA, "ED25519": x509.Ed25519} {
		key, stub, err := newKey(keyType)
		g.Expect(err).NotTo(HaveOccurred())
		block, rest := pem.Decode(key)
		g.Expect(rest).To(BeEmpty())
		_, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		g.Expect(err).NotTo(HaveOccurred())
		request, err := x509.ParseCertificateRequest(stub)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(request.CheckSignature()).To(Succeed())
		g.Expect(request.PublicKeyAlgorithm).To(Equal(want))
	}
	_, _, err := newKey("DSA")
	g.Expect(err).To(MatchError(ContainSubstring(`unknown key type "DSA"`)))
}

func TestJitter(t *testing.T) {
	g := NewWithT(t)
	seen := map[time.Duration]bool{}
	for i := range 100 {
		j := jitterOf("uid", source{strings.Repeat("v", i%10), i})
		g.Expect(j).To(And(BeNumerically(">=", 0), BeNumerically("<", maxJitter)))
		g.Expect(jitterOf("uid", source{strings.Repeat("v", i%10), i})).To(Equal(j))
		seen[j] = true
	}
	g.Expect(len(seen)).To(BeNumerically(">", 90))
}
