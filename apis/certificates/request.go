package certificates

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/util/sets"
)

// Parse reads a PEM signing request.
func Parse(request []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(request)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("PEM block type must be CERTIFICATE REQUEST")
	}
	return x509.ParseCertificateRequest(block.Bytes)
}

const (
	nodesGroup     = "system:nodes"
	nodeUserPrefix = "system:node:"
)

// Acceptable returns why the signer does not sign a request, nil when it does.
// See https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers.
func Acceptable(signer string, r *x509.CertificateRequest, usages []certificatesv1.KeyUsage) error {
	switch signer {
	case certificatesv1.KubeletServingSignerName:
		return kubeletServing(r, usages)
	case certificatesv1.KubeAPIServerClientKubeletSignerName:
		return kubeletClient(r, usages)
	case certificatesv1.KubeAPIServerClientSignerName:
		return client(usages)
	}
	return fmt.Errorf("unrecognized signerName: %q", signer)
}

func kubeletServing(r *x509.CertificateRequest, usages []certificatesv1.KeyUsage) error {
	switch {
	case !slices.Equal(r.Subject.Organization, []string{nodesGroup}):
		return errors.New("subject organization is not system:nodes")
	case len(r.DNSNames) == 0 && len(r.IPAddresses) == 0:
		return errors.New("DNS or IP subjectAltName is required")
	case len(r.EmailAddresses) > 0:
		return errors.New("Email subjectAltNames are not allowed")
	case len(r.URIs) > 0:
		return errors.New("URI subjectAltNames are not allowed")
	}
	if err := nodeUsages(usages, certificatesv1.UsageServerAuth); err != nil {
		return err
	}
	return nodeName(r)
}

func kubeletClient(r *x509.CertificateRequest, usages []certificatesv1.KeyUsage) error {
	switch {
	case !slices.Equal(r.Subject.Organization, []string{nodesGroup}):
		return errors.New("subject organization is not system:nodes")
	case len(r.DNSNames) > 0:
		return errors.New("DNS subjectAltNames are not allowed")
	case len(r.EmailAddresses) > 0:
		return errors.New("Email subjectAltNames are not allowed")
	case len(r.IPAddresses) > 0:
		return errors.New("IP subjectAltNames are not allowed")
	case len(r.URIs) > 0:
		return errors.New("URI subjectAltNames are not allowed")
	}
	if err := nodeName(r); err != nil {
		return err
	}
	return nodeUsages(usages, certificatesv1.UsageClientAuth)
}

func nodeName(r *x509.CertificateRequest) error {
	if !strings.HasPrefix(r.Subject.CommonName, nodeUserPrefix) {
		return errors.New("subject common name does not begin with system:node:")
	}
	return nil
}

// nodeUsages wants digital signature and auth; key encipherment makes sense
// with RSA keys only and may be there.
func nodeUsages(usages []certificatesv1.KeyUsage, auth certificatesv1.KeyUsage) error {
	needed := sets.New(certificatesv1.UsageDigitalSignature, auth)
	withRSA := needed.Clone().Insert(certificatesv1.UsageKeyEncipherment)
	if got := sets.New(usages...); !got.Equal(needed) && !got.Equal(withRSA) {
		return fmt.Errorf("usages did not match %v", sets.List(withRSA))
	}
	return nil
}

func client(usages []certificatesv1.KeyUsage) error {
	for _, u := range usages {
		if u != certificatesv1.UsageDigitalSignature && u != certificatesv1.UsageKeyEncipherment && u != certificatesv1.UsageClientAuth {
			return fmt.Errorf("invalid usage for client certificate: %s", u)
		}
	}
	if !slices.Contains(usages, certificatesv1.UsageClientAuth) {
		return fmt.Errorf("missing required usage for client certificate: %s", certificatesv1.UsageClientAuth)
	}
	return nil
}

// HasCondition reports whether a request has a condition.
func HasCondition(r *certificatesv1.CertificateSigningRequest, kind certificatesv1.RequestConditionType) bool {
	return slices.ContainsFunc(r.Status.Conditions, func(c certificatesv1.CertificateSigningRequestCondition) bool { return c.Type == kind })
}
