package certificates

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var (
	metaPath       = field.NewPath("metadata")
	specPath       = field.NewPath("spec")
	conditionsPath = field.NewPath("status", "conditions")
	issuedPath     = field.NewPath("status", "certificate")
)

const (
	// legacySigner was v1beta1's.
	legacySigner = "kubernetes.io/legacy-unknown"
	// minExpiration of a certificate, in seconds.
	minExpiration = 600
)

func usages() []certificatesv1.KeyUsage {
	all := []certificatesv1.KeyUsage{
		certificatesv1.UsageSigning, certificatesv1.UsageDigitalSignature, certificatesv1.UsageContentCommitment, certificatesv1.UsageKeyEncipherment,
		certificatesv1.UsageKeyAgreement, certificatesv1.UsageDataEncipherment, certificatesv1.UsageCertSign, certificatesv1.UsageCRLSign,
		certificatesv1.UsageEncipherOnly, certificatesv1.UsageDecipherOnly, certificatesv1.UsageAny, certificatesv1.UsageServerAuth,
		certificatesv1.UsageClientAuth, certificatesv1.UsageCodeSigning, certificatesv1.UsageEmailProtection, certificatesv1.UsageSMIME,
		certificatesv1.UsageIPsecEndSystem, certificatesv1.UsageIPsecTunnel, certificatesv1.UsageIPsecUser, certificatesv1.UsageTimestamping,
		certificatesv1.UsageOCSPSigning, certificatesv1.UsageMicrosoftSGC, certificatesv1.UsageNetscapeSGC,
	}
	slices.Sort(all)
	return all
}

// ValidateCertificateSigningRequest validates a new request and its signature.
func ValidateCertificateSigningRequest(r *certificatesv1.CertificateSigningRequest) field.ErrorList {
	return validateRequest(r, nil)
}

// ValidateCertificateSigningRequestUpdate validates a change of the request
// itself, which leaves conditions and certificate alone.
func ValidateCertificateSigningRequestUpdate(r, old *certificatesv1.CertificateSigningRequest) field.ErrorList {
	return validateUpdate(r, old, false, false)
}

// ValidateCertificateSigningRequestStatusUpdate validates what a signer changes.
func ValidateCertificateSigningRequestStatusUpdate(r, old *certificatesv1.CertificateSigningRequest) field.ErrorList {
	return validateUpdate(r, old, true, false)
}

// ValidateCertificateSigningRequestApprovalUpdate validates what an approver changes.
func ValidateCertificateSigningRequestApprovalUpdate(r, old *certificatesv1.CertificateSigningRequest) field.ErrorList {
	return validateUpdate(r, old, false, true)
}

// validateRequest forgives what old, if any, has wrong already.
func validateRequest(r, old *certificatesv1.CertificateSigningRequest) field.ErrorList {
	errs := validation.ValidateObjectMeta(&r.ObjectMeta, false, func(string, bool) []string { return nil }, metaPath)
	if parsed, err := Parse(r.Spec.Request); err != nil {
		errs = append(errs, field.Invalid(specPath.Child("request"), r.Spec.Request, err.Error()))
	} else if err := parsed.CheckSignature(); err != nil {
		errs = append(errs, field.Invalid(specPath.Child("request"), r.Spec.Request, err.Error()))
	}
	errs = append(errs, validateUsages(r, old)...)
	if r.Spec.SignerName != legacySigner {
		errs = append(errs, ValidateSignerName(r.Spec.SignerName, specPath.Child("signerName"))...)
	} else if old == nil || old.Spec.SignerName != legacySigner {
		errs = append(errs, field.Invalid(specPath.Child("signerName"), r.Spec.SignerName, "the legacy signerName is not allowed via this API version"))
	}
	if s := r.Spec.ExpirationSeconds; s != nil && *s < minExpiration {
		errs = append(errs, field.Invalid(specPath.Child("expirationSeconds"), *s, "may not specify a duration less than 600 seconds (10 minutes)"))
	}
	errs = append(errs, validateConditions(r, old)...)
	if old == nil || !bytes.Equal(r.Status.Certificate, old.Status.Certificate) && checkCertificates(old.Status.Certificate) == nil {
		if err := checkCertificates(r.Status.Certificate); err != nil {
			errs = append(errs, field.Invalid(issuedPath, "<certificate data>", err.Error()))
		}
	}
	return errs
}

func validateUsages(r, old *certificatesv1.CertificateSigningRequest) field.ErrorList {
	path := specPath.Child("usages")
	if len(r.Spec.Usages) == 0 {
		return field.ErrorList{field.Required(path, "")}
	}
	unknown := func(u certificatesv1.KeyUsage) bool { return !slices.Contains(usages(), u) }
	var errs field.ErrorList
	if old == nil || !slices.ContainsFunc(old.Spec.Usages, unknown) {
		for i, u := range r.Spec.Usages {
			if unknown(u) {
				errs = append(errs, field.NotSupported(path.Index(i), u, usages()))
			}
		}
	}
	if old == nil || sets.New(old.Spec.Usages...).Len() == len(old.Spec.Usages) {
		for i, u := range r.Spec.Usages {
			if slices.Contains(r.Spec.Usages[:i], u) {
				errs = append(errs, field.Duplicate(path.Index(i), u))
			}
		}
	}
	return errs
}

func validateConditions(r, old *certificatesv1.CertificateSigningRequest) field.ErrorList {
	var allowEmpty, allowDuplicate bool
	if old != nil {
		allowEmpty = HasCondition(old, "")
		allowDuplicate = duplicateConditions(old)
	}
	var errs field.ErrorList
	seen := sets.New[certificatesv1.RequestConditionType]()
	for i, c := range r.Status.Conditions {
		path := conditionsPath.Index(i)
		if c.Type == "" && !allowEmpty {
			errs = append(errs, field.Required(path.Child("type"), ""))
		}
		errs = append(errs, validateConditionStatus(c, path.Child("status"))...)
		if seen.Has(c.Type) && !allowDuplicate {
			errs = append(errs, field.Duplicate(path.Child("type"), c.Type))
		}
		seen.Insert(c.Type)
	}
	return errs
}

// declaredDecision refuses to decide both ways. Upstream declares that beside the
// type, so that it comes after all other errors and in words of its own.
func declaredDecision(r, old *certificatesv1.CertificateSigningRequest) field.ErrorList {
	both := func(r *certificatesv1.CertificateSigningRequest) bool {
		return r != nil && HasCondition(r, certificatesv1.CertificateApproved) && HasCondition(r, certificatesv1.CertificateDenied)
	}
	if !both(r) || both(old) {
		return nil
	}
	const approved, denied = `conditions[{"type": "Approved"}]`, `conditions[{"type": "Denied"}]`
	return field.ErrorList{field.Invalid(conditionsPath, "{"+approved+", "+denied+"}", "must specify at most one of: `"+approved+"`, `"+denied+"`")}
}

// final returns the conditions that are true when they are there, and stay.
func final() []certificatesv1.RequestConditionType {
	return []certificatesv1.RequestConditionType{certificatesv1.CertificateApproved, certificatesv1.CertificateDenied, certificatesv1.CertificateFailed}
}

func validateConditionStatus(c certificatesv1.CertificateSigningRequestCondition, path *field.Path) field.ErrorList {
	supported := []corev1.ConditionStatus{corev1.ConditionTrue}
	if !slices.Contains(final(), c.Type) {
		supported = []corev1.ConditionStatus{corev1.ConditionFalse, corev1.ConditionTrue, corev1.ConditionUnknown}
	}
	switch {
	case c.Status == "":
		return field.ErrorList{field.Required(path, "")}
	case !slices.Contains(supported, c.Status):
		return field.ErrorList{field.NotSupported(path, c.Status, supported)}
	}
	return nil
}

func duplicateConditions(r *certificatesv1.CertificateSigningRequest) bool {
	seen := sets.New[certificatesv1.RequestConditionType]()
	for _, c := range r.Status.Conditions {
		if seen.Has(c.Type) {
			return true
		}
		seen.Insert(c.Type)
	}
	return false
}

func conditions(r *certificatesv1.CertificateSigningRequest, kind certificatesv1.RequestConditionType) []certificatesv1.CertificateSigningRequestCondition {
	var found []certificatesv1.CertificateSigningRequestCondition
	for _, c := range r.Status.Conditions {
		if c.Type == kind {
			found = append(found, c)
		}
	}
	return found
}

func validateUpdate(r, old *certificatesv1.CertificateSigningRequest, signing, approving bool) field.ErrorList {
	errs := validateRequest(r, old)
	for _, kind := range final() {
		if len(conditions(r, kind)) < len(conditions(old, kind)) {
			errs = append(errs, field.Forbidden(conditionsPath, fmt.Sprintf("updates may not remove a condition of type %q", kind)))
		}
	}
	if !approving {
		errs = append(errs, validateDecisions(r, old)...)
	}
	if !bytes.Equal(r.Status.Certificate, old.Status.Certificate) {
		if !signing {
			errs = append(errs, field.Forbidden(issuedPath, "updates may not set certificate content"))
		} else if len(old.Status.Certificate) > 0 {
			errs = append(errs, field.Forbidden(issuedPath, "updates may not modify existing certificate content"))
		}
	}
	errs = append(errs, validation.ValidateObjectMetaUpdate(&r.ObjectMeta, &old.ObjectMeta, metaPath)...)
	return append(errs, declaredDecision(r, old)...)
}

// validateDecisions keeps the decisions as they are.
func validateDecisions(r, old *certificatesv1.CertificateSigningRequest) field.ErrorList {
	var errs field.ErrorList
	for _, kind := range []certificatesv1.RequestConditionType{certificatesv1.CertificateApproved, certificatesv1.CertificateDenied} {
		was, now := conditions(old, kind), conditions(r, kind)
		switch {
		case len(now) > len(was):
			errs = append(errs, field.Forbidden(conditionsPath, fmt.Sprintf("updates may not add a condition of type %q", kind)))
		case len(now) == len(was) && !equality.Semantic.DeepEqual(was, now):
			errs = append(errs, field.Forbidden(conditionsPath, fmt.Sprintf("updates may not modify a condition of type %q\n%v", kind, diff.Diff(was, now))))
		}
	}
	return errs
}

// checkCertificates accepts nothing or PEM certificates.
func checkCertificates(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	found := false
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		found = true
		switch {
		case block.Type != "CERTIFICATE":
			return fmt.Errorf("only CERTIFICATE PEM blocks are allowed, found %q", block.Type)
		case len(block.Headers) != 0:
			return errors.New("no PEM block headers are permitted")
		}
		certs, err := x509.ParseCertificates(block.Bytes)
		if err != nil {
			return err
		}
		if len(certs) == 0 {
			return errors.New("found CERTIFICATE PEM block containing 0 certificates")
		}
	}
	if !found {
		return errors.New("must contain at least one CERTIFICATE PEM block")
	}
	return nil
}
