package certificates

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

var (
	statusPath  = field.NewPath("status")
	chainPath   = statusPath.Child("certificateChain")
	beforePath  = statusPath.Child("notBefore")
	afterPath   = statusPath.Child("notAfter")
	refreshPath = statusPath.Child("beginRefreshAt")
)

const (
	clockSkew      = 5 * time.Minute
	refreshMargin  = 10 * time.Minute
	shortestIssued = time.Hour
)

func outcomes() []string {
	return []string{certificatesv1beta1.PodCertificateRequestConditionTypeIssued, certificatesv1beta1.PodCertificateRequestConditionTypeDenied, certificatesv1beta1.PodCertificateRequestConditionTypeFailed}
}

// ValidatePodCertificateRequestStatusUpdate validates the outcome a signer
// writes, once: issued with a certificate, denied or failed.
func ValidatePodCertificateRequestStatusUpdate(r, old *certificatesv1beta1.PodCertificateRequest, now time.Time) field.ErrorList {
	if errs := validation.ValidateObjectMetaUpdate(&r.ObjectMeta, &old.ObjectMeta, metaPath); len(errs) > 0 {
		return errs
	}
	if errs := validateOutcome(r.Status.Conditions); len(errs) > 0 {
		return errs
	}
	same := func(want certificatesv1beta1.PodCertificateRequestStatus, msg string) field.ErrorList {
		if equality.Semantic.DeepEqual(r.Status, want) {
			return nil
		}
		return field.ErrorList{field.Invalid(statusPath, field.OmitValueType{}, msg)}
	}
	switch {
	case outcome(old) != "":
		return same(old.Status, "immutable after PodCertificateRequest is issued, denied, or failed")
	case outcome(r) == "":
		return same(old.Status, `status is immutable unless transitioning to "Issued", "Denied", or "Failed"`)
	case outcome(r) != certificatesv1beta1.PodCertificateRequestConditionTypeIssued:
		return same(certificatesv1beta1.PodCertificateRequestStatus{Conditions: r.Status.Conditions},
			"non-condition status fields must be empty when denying or failing the PodCertificateRequest")
	}
	return validateIssued(r, old, now)
}

func outcome(r *certificatesv1beta1.PodCertificateRequest) string {
	for _, c := range r.Status.Conditions {
		if c.Status == metav1.ConditionTrue && slices.Contains(outcomes(), c.Type) {
			return c.Type
		}
	}
	return ""
}

func validateOutcome(conditions []metav1.Condition) field.ErrorList {
	var errs field.ErrorList
	known := 0
	for i, c := range conditions {
		at := conditionsPath.Child(fmt.Sprintf("[%d]", i)) // upstream's path
		if !slices.Contains(outcomes(), c.Type) {
			errs = append(errs, field.NotSupported(at.Child("type"), c.Type, outcomes()))
			continue
		}
		if known++; known > 1 {
			errs = append(errs, field.Invalid(at.Child("type"), c.Type, `There may be at most one condition with type "Issued", "Denied", or "Failed"`))
		}
		if c.Status != metav1.ConditionTrue {
			errs = append(errs, field.NotSupported(at.Child("status"), c.Status, []metav1.ConditionStatus{metav1.ConditionTrue}))
		}
	}
	return append(errs, metav1validation.ValidateConditions(conditions, conditionsPath)...)
}

func validateIssued(r, old *certificatesv1beta1.PodCertificateRequest, now time.Time) field.ErrorList {
	chain := r.Status.CertificateChain
	bad := func(msg string) field.ErrorList { return field.ErrorList{field.Invalid(chainPath, chain, msg)} }
	if len(chain) > maxChain {
		return field.ErrorList{field.TooLong(chainPath, "", maxChain)}
	}
	block, rest := pem.Decode([]byte(chain))
	if block == nil {
		return bad("issued certificate chain must contain at least one certificate")
	}
	if block.Type != "CERTIFICATE" {
		return bad("issued certificate chain must consist entirely of CERTIFICATE PEM blocks")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return bad("leaf certificate does not parse as valid X.509")
	}
	errs := validateNames(leaf)
	wanted, fault := keyOf(&old.Spec)
	if fault != nil {
		return append(errs, fault)
	}
	if k, ok := wanted.(interface{ Equal(crypto.PublicKey) bool }); ok && !k.Equal(leaf.PublicKey) {
		return append(errs, bad("leaf certificate was not issued to the requested public key")...)
	}
	if errs = append(errs, validateTimes(r, leaf, now)...); len(errs) > 0 {
		return errs
	}
	for block, rest = pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return bad("issued certificate chain must consist entirely of CERTFICATE PEM blocks") // upstream's spelling
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return bad("intermediate certificate does not parse as valid X.509")
		}
	}
	return nil
}

// keyOf returns the key that a certificate is asked for.
func keyOf(s *certificatesv1beta1.PodCertificateRequestSpec) (crypto.PublicKey, *field.Error) {
	if len(s.StubPKCS10Request) == 0 {
		key, err := x509.ParsePKIXPublicKey(s.PKIXPublicKey)
		if err != nil {
			return nil, field.Invalid(pkixPath, field.OmitValueType{}, "must be a valid PKIX-serialized public key")
		}
		return key, nil
	}
	request, err := x509.ParseCertificateRequest(s.StubPKCS10Request)
	if err != nil {
		return nil, field.Invalid(pkcs10Path, field.OmitValueType{}, "must be a valid PKCS#10 CSR")
	}
	return request.PublicKey, nil
}

func validateNames(leaf *x509.Certificate) field.ErrorList {
	var errs field.ErrorList
	for _, name := range leaf.DNSNames {
		if name == "" {
			errs = append(errs, field.Invalid(chainPath, name, "leaf certificate should not contain empty DNSName"))
		}
		if strings.Contains(name, "..") {
			errs = append(errs, field.Invalid(chainPath, name, "leaf certificate's DNSName should not contain '..'"))
		}
		if strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") {
			errs = append(errs, field.Invalid(chainPath, name, "leaf certificate's DNSName should not start or end with '.'"))
		}
	}
	for _, address := range leaf.EmailAddresses {
		if _, err := mail.ParseAddress(address); err != nil {
			errs = append(errs, field.Invalid(chainPath, address, "leaf certificate should not contain invalid EmailAddress"))
		}
	}
	return errs
}

func validateTimes(r *certificatesv1beta1.PodCertificateRequest, leaf *x509.Certificate, now time.Time) field.ErrorList {
	s := &r.Status
	var errs field.ErrorList
	for _, t := range []struct {
		at   *field.Path
		time *metav1.Time
		msg  string
	}{
		{beforePath, s.NotBefore, "must be present and consistent with the issued certificate"},
		{afterPath, s.NotAfter, "must be present and consistent with the issued certificate"},
		{refreshPath, s.BeginRefreshAt, "must be present and in the range [notbefore+10min, notafter-10min]"},
	} {
		if t.time == nil {
			errs = append(errs, field.Required(t.at, t.msg))
		}
	}
	if len(errs) > 0 {
		return errs
	}
	invalid := func(at *field.Path, value any, msg string) field.ErrorList {
		return field.ErrorList{field.Invalid(at, value, msg)}
	}
	lifetime := leaf.NotAfter.Sub(leaf.NotBefore)
	seconds := ptr.Deref(r.Spec.MaxExpirationSeconds, maxBuiltIn)
	longest := time.Duration(seconds) * time.Second
	switch {
	case !s.NotBefore.Time.Equal(leaf.NotBefore):
		return invalid(beforePath, s.NotBefore.Time, "must be set to the NotBefore time encoded in the leaf certificate")
	case s.NotBefore.Time.Sub(now).Abs() >= clockSkew:
		return invalid(beforePath, s.NotBefore.Time, "must be set to within 5 minutes of kube-apiserver's current time")
	case !s.NotAfter.Time.Equal(leaf.NotAfter):
		return invalid(afterPath, s.NotAfter.Time, "must be set to the NotAfter time encoded in the leaf certificate")
	case lifetime < shortestIssued:
		return invalid(chainPath, lifetime, "leaf certificate lifetime must be >= 1 hour")
	case lifetime > longest:
		return invalid(chainPath, lifetime, fmt.Sprintf("leaf certificate lifetime must be <= spec.maxExpirationSeconds (%v)", seconds))
	case s.BeginRefreshAt.Time.Before(s.NotBefore.Add(refreshMargin)):
		return invalid(refreshPath, s.BeginRefreshAt.Time, "must be at least 10 minutes after status.notBefore")
	case s.BeginRefreshAt.Time.After(s.NotAfter.Add(-refreshMargin)):
		return invalid(refreshPath, s.BeginRefreshAt.Time, "must be at least 10 minutes before status.notAfter")
	}
	return nil
}
