package certificates_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/certificates"
	"github.com/coracle-k8s/coracle/test/mangle"
)

func FuzzKinds(f *testing.F) {
	mangle.Kinds(f,
		mangle.Of(certificates.ValidateCertificateSigningRequest, certificates.ValidateCertificateSigningRequestUpdate,
			certificates.ValidateCertificateSigningRequestStatusUpdate, certificates.ValidateCertificateSigningRequestApprovalUpdate),
		mangle.Of(certificates.ValidateClusterTrustBundle, certificates.ValidateClusterTrustBundleUpdate),
		mangle.Of(certificates.ValidatePodCertificateRequest, certificates.ValidatePodCertificateRequestUpdate,
			func(r, old *certificatesv1beta1.PodCertificateRequest) field.ErrorList {
				return certificates.ValidatePodCertificateRequestStatusUpdate(r, old, time.Unix(1<<31, 0))
			}),
	)
}

// request returns a signing request of a node.
func request(f *testing.F) []byte {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	der, err := x509.CreateCertificateRequest(nil, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "system:node:n", Organization: []string{"system:nodes"}}, DNSNames: []string{"n"},
	}, key)
	if err != nil {
		f.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// FuzzParse reads signing requests and asks every signer about what is read.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n", "-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n", string(request(f))} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := certificates.Parse(data)
		if err != nil {
			return
		}
		for _, signer := range []string{certificatesv1.KubeletServingSignerName, certificatesv1.KubeAPIServerClientKubeletSignerName, certificatesv1.KubeAPIServerClientSignerName} {
			if certificates.Acceptable(signer, r, nil) == nil {
				t.Errorf("%s signs a request without usages", signer)
			}
		}
	})
}
