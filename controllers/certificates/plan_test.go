package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/certificates"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func request(t *testing.T, signer, user, name string, usages ...certificatesv1.KeyUsage) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name, Organization: []string{"system:nodes"}}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: "r", CreationTimestamp: metav1.NewTime(now)}, Spec: certificatesv1.CertificateSigningRequestSpec{
		SignerName: signer, Username: user, Usages: usages, Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
	}}
}

func decided(r *certificatesv1.CertificateSigningRequest, kind certificatesv1.RequestConditionType) *certificatesv1.CertificateSigningRequest {
	r.Status.Conditions = append(r.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: kind, Status: corev1.ConditionTrue, LastUpdateTime: metav1.NewTime(now)})
	return r
}

func TestPermissions(t *testing.T) {
	agent := func(user string) *certificatesv1.CertificateSigningRequest {
		return request(t, certificatesv1.KubeAPIServerClientKubeletSignerName, user, "system:node:n", certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth)
	}
	other := agent("system:node:n")
	other.Spec.Usages = append(other.Spec.Usages, certificatesv1.UsageServerAuth)
	for name, c := range map[string]struct {
		request *certificatesv1.CertificateSigningRequest
		want    string
	}{
		"its own":     {agent("system:node:n"), "selfnodeclient nodeclient"},
		"bootstrap":   {agent("system:bootstrap:abc"), "nodeclient"},
		"decided":     {decided(agent("x"), certificatesv1.CertificateDenied), ""},
		"more usages": {other, ""},
		"other":       {request(t, "example.com/x", "x", "system:node:n"), ""},
	} {
		some, err := permissions(c.request)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range some {
			got = append(got, p.subresource)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %s", name, got, c.want)
		}
	}
}

func TestTemplate(t *testing.T) {
	r := request(t, certificatesv1.KubeAPIServerClientSignerName, "me", "me", certificatesv1.UsageClientAuth, certificatesv1.UsageDigitalSignature)
	parsed, err := certificates.Parse(r.Spec.Request)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		seconds   *int32
		authority time.Duration
		want      time.Duration
	}{
		{nil, 10 * defaultLife, defaultLife - backdate},
		{ptr.To[int32](1), defaultLife, shortest},
		{ptr.To[int32](3600), defaultLife, time.Hour},
		{ptr.To[int32](1 << 30), 10 * defaultLife, defaultLife - backdate},
		{nil, time.Hour, time.Hour},
	} {
		r.Spec.ExpirationSeconds = c.seconds
		got, err := template(parsed, &r.Spec, defaultLife, now, now.Add(c.authority))
		if err != nil {
			t.Fatal(err)
		}
		if !got.NotAfter.Equal(now.Add(c.want)) || !got.NotBefore.Equal(now.Add(-backdate)) || got.IsCA || got.KeyUsage != x509.KeyUsageDigitalSignature {
			t.Errorf("%v: from %s to %s, want %s", c.seconds, got.NotBefore, got.NotAfter, c.want)
		}
	}
	if _, err := template(parsed, &r.Spec, defaultLife, now, now); err == nil {
		t.Error("an authority that ended signs")
	}
}

func TestDeadline(t *testing.T) {
	plain := func() *certificatesv1.CertificateSigningRequest { return request(t, "example.com/x", "x", "x") }
	issued := decided(plain(), certificatesv1.CertificateApproved)
	issued.Status.Certificate = []byte("x")
	unknown := plain()
	unknown.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: "Other"}}
	for name, c := range map[string]struct {
		request *certificatesv1.CertificateSigningRequest
		want    time.Duration
	}{
		"pending":  {plain(), pendingKept},
		"denied":   {decided(plain(), certificatesv1.CertificateDenied), decidedKept},
		"failed":   {decided(decided(plain(), certificatesv1.CertificateApproved), certificatesv1.CertificateFailed), decidedKept},
		"approved": {decided(plain(), certificatesv1.CertificateApproved), pendingKept},
		"issued":   {issued, decidedKept},
		"never":    {unknown, 0},
	} {
		at, ok := deadline(c.request)
		if ok != (c.want != 0) || ok && !at.Equal(now.Add(c.want)) {
			t.Errorf("%s: got %v %v, want %s", name, at, ok, c.want)
		}
	}
}
