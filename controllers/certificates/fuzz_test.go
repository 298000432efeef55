package certificates

import (
	"crypto/x509"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FuzzRequest decides about requests, and reads the certificates that signers wrote.
// A certificate lasts as long as was asked for, within the signer's bounds.
func FuzzRequest(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n"), []byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"), int32(600), "client auth")
	f.Add([]byte(nil), []byte("-----BEGIN"), int32(-1), "x")
	f.Add([]byte("\x00"), []byte("x"), int32(1<<31-1), "server auth")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, request, certificate []byte, seconds int32, usage string) {
		r := &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(now)}, Spec: certificatesv1.CertificateSigningRequestSpec{
			Request: request, SignerName: certificatesv1.KubeAPIServerClientKubeletSignerName, ExpirationSeconds: &seconds, Usages: []certificatesv1.KeyUsage{certificatesv1.KeyUsage(usage)},
		}}
		if list, err := permissions(r); err != nil && list != nil {
			t.Errorf("%v and %v", list, err)
		}
		r.Status.Certificate = certificate
		r.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved}}
		deadline(r)
		c, err := template(&x509.CertificateRequest{}, &r.Spec, time.Hour, now, now.Add(2*time.Hour))
		if err == nil && (!c.NotAfter.After(now) || c.NotAfter.After(now.Add(time.Hour))) {
			t.Errorf("%d seconds last until %v", seconds, c.NotAfter)
		}
	})
}
