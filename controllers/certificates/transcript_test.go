package certificates

import (
	"flag"
	"fmt"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/coracle-k8s/coracle/controllers/internal/golden"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata")

// The results of each of the three for random requests.
func TestTranscript(t *testing.T) {
	r := golden.NewRandom(1)
	for range 40 {
		signer := golden.Pick(r, certificatesv1.KubeAPIServerClientKubeletSignerName, certificatesv1.KubeAPIServerClientKubeletSignerName,
			certificatesv1.KubeAPIServerClientSignerName, certificatesv1.KubeletServingSignerName, "example.com/x")
		user, name := golden.Pick(r, "system:node:n", "system:bootstrap:abc"), golden.Pick(r, "system:node:n", "system:node:n", "me")
		usages := []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, golden.Pick(r, certificatesv1.UsageClientAuth, certificatesv1.UsageClientAuth, certificatesv1.UsageServerAuth)}
		req := request(t, signer, user, name, usages...)
		words := fmt.Sprintf("%s asks %s for %s, %v", user, signer, name, usages)
		for _, kind := range []certificatesv1.RequestConditionType{certificatesv1.CertificateApproved, certificatesv1.CertificateDenied, certificatesv1.CertificateFailed} {
			if r.Chance(3) {
				after := time.Duration(r.IntN(60)) * time.Minute
				req.Status.Conditions = append(req.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: kind, Status: corev1.ConditionTrue, LastUpdateTime: metav1.NewTime(now.Add(after))})
				words += fmt.Sprintf(", %s after %v", kind, after)
			}
		}
		if r.Chance(4) {
			req.Status.Certificate = []byte("x")
			words += ", has a certificate"
		}
		r.Say("%s", words)
		some, err := permissions(req)
		line := fmt.Sprintf("  sign: %t; may be approved for", toSign(req))
		for _, p := range some {
			line += " " + p.subresource
		}
		if err != nil {
			line += err.Error()
		}
		if at, ok := deadline(req); ok {
			line += fmt.Sprintf("; goes after %v", at.Sub(now))
		}
		r.Say("%s", line)
	}
	for age := time.Duration(0); age < time.Hour; age = 2*age + time.Second {
		r.Say("at the age of %v asked again in %v", age, askAgain(age))
	}
	golden.Check(t, *rewrite, "requests", r.String())
}
