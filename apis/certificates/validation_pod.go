package certificates

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"

	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/types"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/hub"
)

const (
	maxUID      = 128
	maxKey      = 10 * 1024
	maxChain    = 100 * 1024
	minLifetime = 60 * 60           // seconds
	maxBuiltIn  = 24 * 60 * 60      // of Kubernetes' own signers
	maxLifetime = 91 * 24 * 60 * 60 // of all others
)

var (
	pkcs10Path = specPath.Child("stubPKCS10Request")
	pkixPath   = specPath.Child("pkixPublicKey")
	proofPath  = specPath.Child("proofOfPossession")
)

// ValidatePodCertificateRequest validates a new request and that its maker holds the key.
func ValidatePodCertificateRequest(r *certificatesv1beta1.PodCertificateRequest) field.ErrorList {
	errs := validation.ValidateObjectMeta(&r.ObjectMeta, true, validation.NameIsDNSSubdomain, metaPath)
	s := &r.Spec
	errs = append(errs, ValidateSignerName(s.SignerName, specPath.Child("signerName"))...)
	errs = append(errs, ValidateUserAnnotations(s.UnverifiedUserAnnotations, specPath.Child("unverifiedUserAnnotations"))...)
	for _, ref := range []struct {
		field, name string
		uid         types.UID
		value       any // name as the API has it: messages quote a NodeName as JSON
	}{
		{"pod", s.PodName, s.PodUID, s.PodName}, {"serviceAccount", s.ServiceAccountName, s.ServiceAccountUID, s.ServiceAccountName},
		{"node", string(s.NodeName), s.NodeUID, s.NodeName},
	} {
		for _, msg := range validation.NameIsDNSSubdomain(ref.name, false) {
			errs = append(errs, field.Invalid(specPath.Child(ref.field+"Name"), ref.value, msg))
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

// validateKey checks the key, given by a request for a certificate or, which is
// deprecated, by itself with a signature of the pod's UID.
func validateKey(r *certificatesv1beta1.PodCertificateRequest) field.ErrorList {
	s := &r.Spec
	stub, key, proof := len(s.StubPKCS10Request) > 0, len(s.PKIXPublicKey) > 0, len(s.ProofOfPossession) > 0
	switch {
	case stub && !key && !proof:
		return validateStub(s.StubPKCS10Request)
	case !stub && key && proof:
		return validatePublicKey(r)
	}
	return field.ErrorList{field.Invalid(specPath, field.OmitValueType{}, "exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set")}
}

func validatePublicKey(r *certificatesv1beta1.PodCertificateRequest) field.ErrorList {
	s := &r.Spec
	if len(s.PKIXPublicKey) > maxKey {
		return field.ErrorList{field.TooLong(pkixPath, "", maxKey)}
	}
	if len(s.ProofOfPossession) > maxKey {
		return field.ErrorList{field.TooLong(proofPath, "", maxKey)}
	}
	key, err := x509.ParsePKIXPublicKey(s.PKIXPublicKey)
	if err != nil {
		return field.ErrorList{field.Invalid(pkixPath, s.PKIXPublicKey, "must be a valid PKIX-serialized public key")}
	}
	if value, fault := keyFault(key, s.PKIXPublicKey, "P256 or P384"); fault != "" {
		return field.ErrorList{field.Invalid(pkixPath, value, fault)}
	}
	if !signed(key, []byte(r.Spec.PodUID), s.ProofOfPossession) {
		return field.ErrorList{field.Invalid(proofPath, field.OmitValueType{}, "could not verify proof-of-possession signature")}
	}
	return nil
}

// signed reports whether a key that keyFault accepts signed the message, in the way
// that v1beta1 says of proofOfPossession.
func signed(key any, message, signature []byte) bool {
	digest := sha256.Sum256(message)
	switch k := key.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(k, message, signature)
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, digest[:], signature)
	case *rsa.PublicKey:
		return rsa.VerifyPSS(k, crypto.SHA256, digest[:], signature, nil) == nil
	}
	return false
}

// keyFault returns what is wrong with a public key, and the value to show for it:
// shown is shown of a key of an unknown type. Curves are the allowed ones in words.
func keyFault(key, shown any, curves string) (value any, fault string) {
	switch k := key.(type) {
	case ed25519.PublicKey:
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() && k.Curve != elliptic.P521() {
			return "curve " + k.Curve.Params().Name, "elliptic public keys must use curve " + curves
		}
	case *rsa.PublicKey:
		if bits := k.Size() * 8; bits != 3072 && bits != 4096 {
			return fmt.Sprintf("%d-bit modulus", bits), "RSA keys must have modulus size 3072 or 4096"
		}
	default:
		return shown, "unknown public key type; supported types are Ed25519, ECDSA, and RSA"
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
	if value, fault := keyFault(request.PublicKey, field.OmitValueType{}, "P256, P384, or P521"); fault != "" {
		return field.ErrorList{field.Invalid(pkcs10Path, value, fault)}
	}
	// The signer judges the request's other fields.
	if request.CheckSignature() != nil {
		return field.ErrorList{field.Invalid(pkcs10Path, field.OmitValueType{}, "invalid signature")}
	}
	return nil
}

// ValidatePodCertificateRequestUpdate validates a changed request, whose spec stays.
func ValidatePodCertificateRequestUpdate(r, old *certificatesv1beta1.PodCertificateRequest) field.ErrorList {
	errs := validation.ValidateObjectMetaUpdate(&r.ObjectMeta, &old.ObjectMeta, metaPath)
	if !equality.Semantic.DeepEqual(r.Spec, old.Spec) {
		errs = append(errs, field.Invalid(specPath, hub.Internal(r.Spec), validation.FieldImmutableErrorMsg))
	}
	return errs
}
