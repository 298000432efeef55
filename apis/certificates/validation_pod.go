package certificates

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/types"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	maxUID      = 128
	maxKey      = 10 * 1024
	maxChain    = 100 * 1024
	minLifetime = 60 * 60           // seconds
	maxBuiltIn  = 24 * 60 * 60      // of Kubernetes' own signers
	maxLifetime = 91 * 24 * 60 * 60 // of all others
)

var pkcs10Path = specPath.Child("stubPKCS10Request")

// ValidatePodCertificateRequest validates a new request and that its maker holds the key.
func ValidatePodCertificateRequest(r *certificatesv1.PodCertificateRequest) field.ErrorList {
	errs := validation.ValidateObjectMeta(&r.ObjectMeta, true, validation.NameIsDNSSubdomain, metaPath)
	s := &r.Spec
	errs = append(errs, ValidateSignerName(s.SignerName, specPath.Child("signerName"))...)
	errs = append(errs, ValidateUserAnnotations(s.UnverifiedUserAnnotations, specPath.Child("unverifiedUserAnnotations"))...)
	for _, ref := range []struct {
		field, name string
		uid         types.UID
	}{
		{"pod", s.PodName, s.PodUID}, {"serviceAccount", s.ServiceAccountName, s.ServiceAccountUID}, {"node", string(s.NodeName), s.NodeUID},
	} {
		for _, msg := range validation.NameIsDNSSubdomain(ref.name, false) {
			errs = append(errs, field.Invalid(specPath.Child(ref.field+"Name"), ref.name, msg))
		}
		at := specPath.Child(ref.field + "UID")
		if ref.uid == "" {
			errs = append(errs, field.Invalid(at, ref.uid, "must not be empty"))
		} else if len(ref.uid) > maxUID {
			errs = append(errs, field.TooLong(at, ref.uid, maxUID))
		}
	}
	at := specPath.Child("maxExpirationSeconds")
	if s.MaxExpirationSeconds == nil {
		return append(errs, field.Required(at, "must be set"))
	}
	least, most := Lifetimes(s.SignerName)
	if n := *s.MaxExpirationSeconds; n < least || n > most {
		errs = append(errs, field.Invalid(at, n, fmt.Sprintf("must be in the range [%d, %d]", least, most)))
	}
	return append(errs, validateKey(r)...)
}

// Lifetimes returns the bounds, in seconds, of what may be asked of a signer as
// maxExpirationSeconds.
func Lifetimes(signer string) (least, most int32) {
	if builtIn(signer) {
		return minLifetime, maxBuiltIn
	}
	return minLifetime, maxLifetime
}

// ValidateUserAnnotations validates a pod's parameters for a signer.
func ValidateUserAnnotations(annotations map[string]string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for key := range annotations {
		errs = append(errs, utilvalidation.IsDomainPrefixedKey(path, strings.ToLower(key))...)
	}
	if validation.ValidateAnnotationsSize(annotations) != nil {
		errs = append(errs, field.TooLong(path, "", validation.TotalAnnotationSizeLimitB))
	}
	return errs
}

func validateKey(r *certificatesv1.PodCertificateRequest) field.ErrorList {
	if len(r.Spec.StubPKCS10Request) == 0 {
		return field.ErrorList{field.Invalid(specPath, field.OmitValueType{}, "exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set")}
	}
	return validateStub(r.Spec.StubPKCS10Request)
}

// keyFault returns what is wrong with a public key, and the value to show for it.
func keyFault(key any) (value any, fault string) {
	switch k := key.(type) {
	case ed25519.PublicKey:
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() && k.Curve != elliptic.P521() {
			return "curve " + k.Curve.Params().Name, "elliptic public keys must use curve P256, P384, or P521"
		}
	case *rsa.PublicKey:
		if bits := k.Size() * 8; bits != 3072 && bits != 4096 {
			return fmt.Sprintf("%d-bit modulus", bits), "RSA keys must have modulus size 3072 or 4096"
		}
	default:
		return field.OmitValueType{}, "unknown public key type; supported types are Ed25519, ECDSA, and RSA"
	}
	return nil, ""
}

func validateStub(der []byte) field.ErrorList {
	if len(der) > maxKey {
		return field.ErrorList{field.TooLong(pkcs10Path, "", maxKey)}
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return field.ErrorList{field.Invalid(pkcs10Path, field.OmitValueType{}, "must be a valid PKCS#10 CSR")}
	}
	if value, fault := keyFault(request.PublicKey); fault != "" {
		return field.ErrorList{field.Invalid(pkcs10Path, value, fault)}
	}
	// The signer judges the request's other fields.
	if request.CheckSignature() != nil {
		return field.ErrorList{field.Invalid(pkcs10Path, field.OmitValueType{}, "invalid signature")}
	}
	return nil
}

// ValidatePodCertificateRequestUpdate validates a changed request, whose spec stays.
func ValidatePodCertificateRequestUpdate(r, old *certificatesv1.PodCertificateRequest) field.ErrorList {
	errs := validation.ValidateObjectMetaUpdate(&r.ObjectMeta, &old.ObjectMeta, metaPath)
	if !equality.Semantic.DeepEqual(r.Spec, old.Spec) {
		errs = append(errs, field.Invalid(specPath, internalSpec(r.Spec), validation.FieldImmutableErrorMsg))
	}
	return errs
}

// internalSpec returns a spec as upstream's internal type has it, with the
// fields of certificates.k8s.io/v1beta1.
func internalSpec(s certificatesv1.PodCertificateRequestSpec) any {
	return struct {
		SignerName                string
		PodName                   string
		PodUID                    types.UID
		ServiceAccountName        string
		ServiceAccountUID         types.UID
		NodeName                  types.NodeName
		NodeUID                   types.UID
		MaxExpirationSeconds      *int32
		PKIXPublicKey             []byte
		ProofOfPossession         []byte
		StubPKCS10Request         []byte
		UnverifiedUserAnnotations map[string]string
	}{s.SignerName, s.PodName, s.PodUID, s.ServiceAccountName, s.ServiceAccountUID, s.NodeName, s.NodeUID, s.MaxExpirationSeconds,
		nil, nil, s.StubPKCS10Request, s.UnverifiedUserAnnotations}
}
