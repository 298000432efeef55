package certificates

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"

	"github.com/coracle-k8s/coracle/apis/certificates"
)

// permission is a right with which the requester needs no approval by a person.
type permission struct{ subresource, message string }

// permissions returns the rights of which one suffices to have r approved, nil
// if r is not for the Approver. err is set if r cannot be parsed.
func permissions(r *certificatesv1.CertificateSigningRequest) ([]permission, error) {
	if len(r.Status.Certificate) > 0 || certificates.HasCondition(r, certificatesv1.CertificateApproved) || certificates.HasCondition(r, certificatesv1.CertificateDenied) ||
		r.Spec.SignerName != certificatesv1.KubeAPIServerClientKubeletSignerName {
		return nil, nil
	}
	request, err := certificates.Parse(r.Spec.Request)
	if err != nil {
		return nil, fmt.Errorf("unable to parse csr %q: %w", r.Name, err)
	}
	if certificates.Acceptable(r.Spec.SignerName, request, r.Spec.Usages) != nil {
		return nil, nil
	}
	some := []permission{{"nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview."}}
	if r.Spec.Username == request.Subject.CommonName {
		some = append([]permission{{"selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview."}}, some...)
	}
	return some, nil
}

// Rights may be granted after they were asked for, without an event.
const soonestAsk, latestAsk = time.Second, 15 * time.Minute

// askAgain returns how long to wait before the rights to a request of that age
// are asked for again: as long as it has waited already.
func askAgain(age time.Duration) time.Duration { return min(max(age, soonestAsk), latestAsk) }

// toSign reports whether r waits for the Signer.
func toSign(r *certificatesv1.CertificateSigningRequest) bool {
	switch r.Spec.SignerName {
	case certificatesv1.KubeletServingSignerName, certificatesv1.KubeAPIServerClientKubeletSignerName, certificatesv1.KubeAPIServerClientSignerName:
	default:
		return false
	}
	return len(r.Status.Certificate) == 0 && certificates.HasCondition(r, certificatesv1.CertificateApproved) &&
		!certificates.HasCondition(r, certificatesv1.CertificateDenied) && !certificates.HasCondition(r, certificatesv1.CertificateFailed)
}

const (
	// backdate lets machines whose clocks are behind use a certificate at once.
	backdate = 5 * time.Minute
	// A certificate of less than short keeps its whole life after now.
	short       = 8 * time.Hour
	shortest    = 10 * time.Minute
	defaultLife = 365 * 24 * time.Hour
)

// template returns the certificate that answers a request: names are as asked
// for, extensions are not.
func template(request *x509.CertificateRequest, spec *certificatesv1.CertificateSigningRequestSpec, longest time.Duration, now, authorityEnds time.Time) (*x509.Certificate, error) {
	life := longest
	if s := spec.ExpirationSeconds; s != nil {
		life = min(longest, max(shortest, time.Duration(*s)*time.Second))
	}
	t := &x509.Certificate{
		Subject: request.Subject, DNSNames: request.DNSNames, IPAddresses: request.IPAddresses, EmailAddresses: request.EmailAddresses, URIs: request.URIs,
		BasicConstraintsValid: true, NotBefore: now.Add(-backdate), NotAfter: now.Add(life - backdate),
	}
	if life < short {
		t.NotAfter = now.Add(life)
	}
	if t.NotAfter.After(authorityEnds) {
		t.NotAfter = authorityEnds
	}
	if !now.Before(authorityEnds) {
		return nil, fmt.Errorf("the signer has expired: NotAfter=%v", authorityEnds)
	}
	for _, u := range spec.Usages {
		usage, extended, err := keyUsage(u)
		if err != nil {
			return nil, err
		}
		t.KeyUsage |= usage
		t.ExtKeyUsage = append(t.ExtKeyUsage, extended...)
	}
	return t, nil
}

// keyUsage returns the key usage of a usage that the three signers sign; see
// certificates.Acceptable.
func keyUsage(u certificatesv1.KeyUsage) (x509.KeyUsage, []x509.ExtKeyUsage, error) {
	switch u {
	case certificatesv1.UsageDigitalSignature:
		return x509.KeyUsageDigitalSignature, nil, nil
	case certificatesv1.UsageKeyEncipherment:
		return x509.KeyUsageKeyEncipherment, nil, nil
	case certificatesv1.UsageClientAuth:
		return 0, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, nil
	case certificatesv1.UsageServerAuth:
		return 0, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, nil
	}
	return 0, nil, fmt.Errorf("unrecognized usage values: %q", u)
}

// How long requests are kept, as upstream does.
const (
	decidedKept  = time.Hour
	pendingKept  = 24 * time.Hour
	podCertsKept = 15 * time.Minute
)

// deadline returns when r may be deleted; ok is false if something has to
// happen to it first, which comes as an event.
func deadline(r *certificatesv1.CertificateSigningRequest) (at time.Time, ok bool) {
	if len(r.Status.Conditions) == 0 {
		return r.CreationTimestamp.Add(pendingKept), true
	}
	sooner := func(t time.Time) {
		if !ok || t.Before(at) {
			at, ok = t, true
		}
	}
	issued := len(r.Status.Certificate) > 0
	for _, c := range r.Status.Conditions {
		switch kept := !c.LastUpdateTime.IsZero(); c.Type {
		case certificatesv1.CertificateDenied, certificatesv1.CertificateFailed:
			if kept {
				sooner(c.LastUpdateTime.Add(decidedKept))
			}
		case certificatesv1.CertificateApproved:
			if kept && issued {
				sooner(c.LastUpdateTime.Add(decidedKept))
			} else if kept {
				sooner(c.LastUpdateTime.Add(pendingKept))
			}
			if ends, is := expiry(r.Status.Certificate); is {
				sooner(ends)
			}
		}
	}
	return at, ok
}

// expiry returns the end of the first certificate in data.
func expiry(data []byte) (time.Time, bool) {
	block, _ := pem.Decode(data)
	if block == nil {
		return time.Time{}, false
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, false
	}
	return cert.NotAfter, true
}
