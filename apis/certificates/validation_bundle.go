package certificates

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const maxTrustBundle = 1 << 20

// ValidateClusterTrustBundle validates a new bundle and its certificates.
func ValidateClusterTrustBundle(b *certificatesv1.ClusterTrustBundle) field.ErrorList {
	return append(validateBundle(b), validateAnchors(b.Spec.TrustBundle, specPath.Child("trustBundle"))...)
}

// ValidateClusterTrustBundleUpdate validates a changed bundle. Certificates that
// stay are not read again: what Go accepts changes over time.
func ValidateClusterTrustBundleUpdate(b, old *certificatesv1.ClusterTrustBundle) field.ErrorList {
	errs := validateBundle(b)
	if b.Spec.TrustBundle != old.Spec.TrustBundle {
		errs = append(errs, validateAnchors(b.Spec.TrustBundle, specPath.Child("trustBundle"))...)
	}
	errs = append(errs, validation.ValidateObjectMetaUpdate(&b.ObjectMeta, &old.ObjectMeta, metaPath)...)
	return append(errs, validation.ValidateImmutableField(b.Spec.SignerName, old.Spec.SignerName, specPath.Child("signerName"))...)
}

func validateBundle(b *certificatesv1.ClusterTrustBundle) field.ErrorList {
	errs := validation.ValidateObjectMeta(&b.ObjectMeta, false, bundleName(b.Spec.SignerName), metaPath)
	if b.Spec.SignerName != "" {
		errs = append(errs, ValidateSignerName(b.Spec.SignerName, specPath.Child("signerName"))...)
	}
	return errs
}

// validateAnchors wants distinct certificates of authorities, one at least.
func validateAnchors(bundle string, path *field.Path) field.ErrorList {
	if len(bundle) > maxTrustBundle {
		return field.ErrorList{field.TooLong(path, "", maxTrustBundle)}
	}
	const omitted = "<value omitted>"
	var errs field.ErrorList
	var order []string
	entries := map[string][]int{}
	i := 0
	for block, rest := pem.Decode([]byte(bundle)); block != nil; block, rest = pem.Decode(rest) {
		if msg := anchorFault(block); msg != "" {
			errs = append(errs, field.Invalid(path, omitted, fmt.Sprintf("entry %d %s", i, msg)))
		}
		der := string(block.Bytes)
		if entries[der] == nil {
			order = append(order, der)
		}
		entries[der] = append(entries[der], i)
		i++
	}
	switch {
	case len(errs) > 0:
		return errs
	case len(order) == 0:
		return field.ErrorList{field.Invalid(path, omitted, "at least one trust anchor must be provided")}
	}
	for _, der := range order {
		if len(entries[der]) > 1 {
			errs = append(errs, field.Invalid(path, omitted, fmt.Sprintf("duplicate trust anchor (indices %v)", entries[der])))
		}
	}
	return errs
}

func anchorFault(block *pem.Block) string {
	if block.Type != "CERTIFICATE" {
		return "has bad block type: " + block.Type
	}
	if len(block.Headers) != 0 {
		return "has PEM block headers"
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		return "does not parse as X.509"
	case !cert.IsCA:
		return "does not have the CA bit set"
	case !cert.BasicConstraintsValid:
		return "has invalid basic constraints"
	}
	return ""
}
