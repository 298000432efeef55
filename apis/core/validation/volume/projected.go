package volume

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/certificates"
	"github.com/coracle-k8s/coracle/apis/core/validation/options"
	"github.com/coracle-k8s/coracle/apis/hub"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

const (
	maxTokenSeconds = 1 << 32
	minTokenSeconds = 10 * 60
)

// projection validates the sources of one projected volume.
type projection struct {
	fldPath *field.Path
	Options options.Pod
	paths   map[string]bool
	errs    field.ErrorList
}

func (p *projection) add(errs field.ErrorList) { p.errs = append(p.errs, errs...) }

// once validates that no two sources write the same file. The error is the volume's,
// with what is given as its value.
func (p *projection) once(path string, value string) {
	if p.paths[path] {
		p.errs = append(p.errs, field.Invalid(p.fldPath, value, "conflicting duplicate paths"))
	}
	p.paths[path] = true
}

func projected(fldPath *field.Path, v *corev1.ProjectedVolumeSource, opts options.Pod) field.ErrorList {
	p := &projection{fldPath: fldPath, Options: opts, paths: map[string]bool{}}
	p.add(optionalMode(fldPath.Child("defaultMode"), v.DefaultMode))
	for i := range v.Sources {
		s, at, n := &v.Sources[i], fldPath.Child("sources").Index(i), 0
		for _, source := range []struct {
			name     string
			set      bool
			validate func(*field.Path)
		}{
			{"secret", s.Secret != nil, func(at *field.Path) { p.items(at, s.Secret.Name, s.Secret.Items) }},
			{"configMap", s.ConfigMap != nil, func(at *field.Path) { p.items(at, s.ConfigMap.Name, s.ConfigMap.Items) }},
			{"downwardAPI", s.DownwardAPI != nil, func(at *field.Path) { p.downward(at, s.DownwardAPI.Items) }},
			{"serviceAccountToken", s.ServiceAccountToken != nil, func(at *field.Path) { p.token(at, s.ServiceAccountToken) }},
			{"clusterTrustBundle", s.ClusterTrustBundle != nil, func(at *field.Path) { p.trustBundle(at, s.ClusterTrustBundle) }},
			{"podCertificate", s.PodCertificate != nil, func(at *field.Path) { p.certificate(at, s.PodCertificate) }},
		} {
			if source.set {
				n++
				source.validate(at.Child(source.name))
			}
		}
		if n > 1 {
			p.errs = append(p.errs, field.Forbidden(at, "may not specify more than 1 volume type per source"))
		}
	}
	return p.errs
}

// items validates those of a Secret or a ConfigMap.
func (p *projection) items(at *field.Path, name string, items []corev1.KeyToPath) {
	p.add(check.Required(at.Child("name"), name))
	for i := range items {
		p.add(keyToPath(at.Child("items").Index(i), &items[i]))
		if items[i].Path != "" {
			p.once(items[i].Path, name)
		}
	}
}

func (p *projection) downward(at *field.Path, items []corev1.DownwardAPIVolumeFile) {
	for i := range items {
		p.add(downwardFile(at, &items[i]))
		if items[i].Path != "" {
			p.once(items[i].Path, items[i].Path)
		}
	}
}

// token validates a token's projection. Upstream takes the path for the volume's.
func (p *projection) token(at *field.Path, t *corev1.ServiceAccountTokenProjection) {
	seconds := at.Child("expirationSeconds")
	switch s := t.ExpirationSeconds; {
	case s == nil:
		p.errs = append(p.errs, field.Required(seconds, ""))
	case *s < minTokenSeconds:
		p.errs = append(p.errs, field.Invalid(seconds, *s, "may not specify a duration less than 10 minutes"))
	case *s > maxTokenSeconds:
		p.errs = append(p.errs, field.Invalid(seconds, *s, "may not specify a duration larger than 2^32 seconds"))
	}
	if t.Path == "" || !p.Options.AllowNonLocalProjectedTokenPath {
		p.add(pathOfFile(p.fldPath.Child("path"), t.Path))
	}
}

func (p *projection) trustBundle(at *field.Path, b *corev1.ClusterTrustBundleProjection) {
	switch {
	case b.Name != nil && b.SignerName != nil:
		p.errs = append(p.errs, field.Invalid(at, hub.Internal(b), "only one of name and signerName may be used"))
	case b.Name != nil:
		if *b.Name == "" {
			p.errs = append(p.errs, field.Required(at.Child("name"), "must be a valid object name"))
		}
		for _, msg := range certificates.TrustBundleNameFaults(*b.Name) {
			p.errs = append(p.errs, field.Invalid(at.Child("name"), *b.Name, "not a valid clustertrustbundlename: "+msg))
		}
		if b.LabelSelector != nil {
			p.errs = append(p.errs, field.Invalid(at.Child("labelSelector"), b.LabelSelector, "labelSelector must be unset if name is specified"))
		}
	case b.SignerName != nil:
		if *b.SignerName == "" {
			p.errs = append(p.errs, field.Required(at.Child("signerName"), "must be a valid signer name"))
		}
		p.add(certificates.ValidateSignerName(*b.SignerName, at.Child("signerName")))
		p.add(check.LabelSelector(at.Child("labelSelector"), b.LabelSelector, false))
	default:
		p.errs = append(p.errs, field.Required(at, "either name or signerName must be specified"))
	}
	p.add(pathOfFile(at.Child("path"), b.Path))
	p.once(b.Path, b.Path)
}

func (p *projection) certificate(at *field.Path, c *corev1.PodCertificateProjection) {
	p.add(certificates.ValidateSignerName(c.SignerName, at.Child("signerName")))
	p.add(certificates.ValidateUserAnnotations(c.UserAnnotations, at.Child("userAnnotations")))
	p.add(check.OneOf(at.Child("keyType"), c.KeyType, "RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"))
	if s := c.MaxExpirationSeconds; s != nil {
		at := at.Child("maxExpirationSeconds")
		least, most := certificates.Lifetimes(c.SignerName)
		if *s < least {
			p.errs = append(p.errs, field.Invalid(at, *s, fmt.Sprintf("if provided, maxExpirationSeconds must be >= %d", least)))
		}
		if *s > most {
			p.errs = append(p.errs, field.Invalid(at, *s, fmt.Sprintf("if provided, maxExpirationSeconds must be <= %d", most)))
		}
	}
	n := 0
	for _, f := range []struct{ name, path string }{
		{"credentialBundlePath", c.CredentialBundlePath}, {"keyPath", c.KeyPath}, {"certificateChainPath", c.CertificateChainPath}} {
		if f.path == "" {
			continue
		}
		n++
		p.add(check.FilePath(at.Child(f.name), f.path))
		p.once(f.path, f.path)
	}
	if n == 0 {
		p.errs = append(p.errs, field.Required(at, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"))
	}
}
