package core

import (
	"fmt"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/certificates"
)

const (
	fileMode          = 0o777
	fileModeMessage   = "must be a number between 0 and 0777 (octal), both inclusive"
	maxTokenSeconds   = 1 << 32
	minTokenSeconds   = 10 * 60
	maxVolumeNameLong = 63
)

// volumes validates the volumes of a pod and returns them by name.
func volumes(fldPath *field.Path, list []corev1.Volume, opts PodOptions) (map[string]*corev1.Volume, field.ErrorList) {
	var errs field.ErrorList
	byName := make(map[string]*corev1.Volume, len(list))
	for i := range list {
		v, at := &list[i], fldPath.Index(i)
		errs = append(errs, volumeSource(at, v, opts)...)
		errs = append(errs, named(at.Child("name"), v.Name, validation.IsDNS1123Label)...)
		if _, ok := byName[v.Name]; ok && v.Name != "" {
			errs = append(errs, field.Duplicate(at.Child("name"), v.Name))
		}
		byName[v.Name] = v
	}
	return byName, errs
}

// aSource is one of the alternatives of a union of sources: its field's name,
// whether it is set, and what is wrong with it.
type aSource struct {
	name     string
	set      bool
	validate func(at *field.Path) field.ErrorList
}

// exactlyOne validates the one source that is set. The first counts; the
// others are said to be too many.
func exactlyOne(fldPath *field.Path, list []aSource, none, more string) field.ErrorList {
	var errs field.ErrorList
	n := 0
	for _, s := range list {
		if !s.set {
			continue
		}
		if n++; n > 1 {
			errs = append(errs, field.Forbidden(fldPath.Child(s.name), more))
			continue
		}
		errs = append(errs, s.validate(fldPath.Child(s.name))...)
	}
	if n == 0 {
		errs = append(errs, field.Required(fldPath, none))
	}
	return errs
}

func volumeSource(fldPath *field.Path, v *corev1.Volume, opts PodOptions) field.ErrorList {
	s := &v.VolumeSource
	list := append([]aSource{
		{"emptyDir", s.EmptyDir != nil, func(at *field.Path) field.ErrorList {
			if l := s.EmptyDir.SizeLimit; l != nil && l.Sign() < 0 {
				return field.ErrorList{field.Forbidden(at.Child("sizeLimit"), "SizeLimit field must be a valid resource quantity")}
			}
			return nil
		}},
		{"hostPath", s.HostPath != nil, func(at *field.Path) field.ErrorList { return hostPath(at, s.HostPath) }},
		{"gitRepo", s.GitRepo != nil, func(at *field.Path) field.ErrorList {
			return append(required(at.Child("repository"), s.GitRepo.Repository), filePath(at.Child("directory"), s.GitRepo.Directory)...)
		}},
		{"secret", s.Secret != nil, func(at *field.Path) field.ErrorList {
			errs := required(at.Child("secretName"), s.Secret.SecretName)
			errs = append(errs, optionalMode(at.Child("defaultMode"), s.Secret.DefaultMode)...)
			return append(errs, keysToPaths(at.Child("items"), s.Secret.Items)...)
		}},
		{"configMap", s.ConfigMap != nil, func(at *field.Path) field.ErrorList {
			errs := required(at.Child("name"), s.ConfigMap.Name)
			errs = append(errs, optionalMode(at.Child("defaultMode"), s.ConfigMap.DefaultMode)...)
			return append(errs, keysToPaths(at.Child("items"), s.ConfigMap.Items)...)
		}},
		{"persistentVolumeClaim", s.PersistentVolumeClaim != nil, func(at *field.Path) field.ErrorList {
			return required(at.Child("claimName"), s.PersistentVolumeClaim.ClaimName)
		}},
		{"downwardAPI", s.DownwardAPI != nil, func(at *field.Path) field.ErrorList {
			errs := optionalMode(at.Child("defaultMode"), s.DownwardAPI.DefaultMode)
			return append(errs, downwardFiles(at.Child("items"), s.DownwardAPI.Items, sets.New[string]())...)
		}},
		{"projected", s.Projected != nil, func(at *field.Path) field.ErrorList { return projected(at, s.Projected, opts) }},
		{"csi", s.CSI != nil, func(at *field.Path) field.ErrorList {
			errs := csiDriver(at.Child("driver"), s.CSI.Driver)
			return append(errs, localRef(at.Child("nodePublishSecretRef"), s.CSI.NodePublishSecretRef)...)
		}},
		{"ephemeral", s.Ephemeral != nil, func(at *field.Path) field.ErrorList { return ephemeralVolume(at, s.Ephemeral, v.Name) }},
		{"image", s.Image != nil, func(at *field.Path) field.ErrorList {
			errs := oneOf(at.Child("pullPolicy"), s.Image.PullPolicy, corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)
			if opts.ResourceIsPod {
				errs = append(errs, required(at.Child("reference"), s.Image.Reference)...)
			}
			return errs
		}},
	}, foreignVolumes(s)...)
	return exactlyOne(fldPath, list, "must specify a volume type", "may not specify more than 1 volume type")
}

func hostPath(fldPath *field.Path, h *corev1.HostPathVolumeSource) field.ErrorList {
	errs := required(fldPath.Child("path"), h.Path)
	if len(errs) == 0 {
		errs = noBacksteps(fldPath.Child("path"), h.Path)
	}
	return append(errs, optionalOneOf(fldPath.Child("type"), h.Type, corev1.HostPathUnset, corev1.HostPathBlockDev, corev1.HostPathCharDev,
		corev1.HostPathDirectory, corev1.HostPathDirectoryOrCreate, corev1.HostPathFile, corev1.HostPathFileOrCreate, corev1.HostPathSocket)...)
}

func optionalMode(fldPath *field.Path, mode *int32) field.ErrorList {
	if mode != nil && (*mode < 0 || *mode > fileMode) {
		return field.ErrorList{field.Invalid(fldPath, *mode, fileModeMessage)}
	}
	return nil
}

func keysToPaths(fldPath *field.Path, items []corev1.KeyToPath) field.ErrorList {
	var errs field.ErrorList
	for i, it := range items {
		at := fldPath.Index(i)
		errs = append(errs, required(at.Child("key"), it.Key)...)
		errs = append(errs, pathOfFile(at.Child("path"), it.Path)...)
		errs = append(errs, optionalMode(at.Child("mode"), it.Mode)...)
	}
	return errs
}

func pathOfFile(fldPath *field.Path, p string) field.ErrorList {
	if p == "" {
		return field.ErrorList{field.Required(fldPath, "")}
	}
	return filePath(fldPath, p)
}

func localRef(fldPath *field.Path, r *corev1.LocalObjectReference) field.ErrorList {
	if r == nil {
		return nil
	}
	return required(fldPath.Child("name"), r.Name)
}

func downwardFiles(fldPath *field.Path, items []corev1.DownwardAPIVolumeFile, paths sets.Set[string]) field.ErrorList {
	var errs field.ErrorList
	for i := range items {
		it, at := &items[i], fldPath.Index(i)
		errs = append(errs, pathOfFile(at.Child("path"), it.Path)...)
		errs = append(errs, onlyOnce(at.Child("path"), it.Path, paths)...)
		switch {
		case it.FieldRef != nil:
			errs = append(errs, fieldRef(at.Child("fieldRef"), it.FieldRef, volumeFields)...)
			if it.ResourceFieldRef != nil {
				errs = append(errs, field.Invalid(at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
			}
		case it.ResourceFieldRef != nil:
			errs = append(errs, resourceFieldRef(at.Child("resourceFieldRef"), it.ResourceFieldRef, true)...)
		default:
			errs = append(errs, field.Required(at, "one of fieldRef and resourceFieldRef is required"))
		}
		errs = append(errs, optionalMode(at.Child("mode"), it.Mode)...)
	}
	return errs
}

func onlyOnce(fldPath *field.Path, p string, seen sets.Set[string]) field.ErrorList {
	if p == "" {
		return nil
	}
	if seen.Has(p) {
		return field.ErrorList{field.Invalid(fldPath, p, "conflicting duplicate paths")}
	}
	seen.Insert(p)
	return nil
}

func projected(fldPath *field.Path, p *corev1.ProjectedVolumeSource, opts PodOptions) field.ErrorList {
	errs := optionalMode(fldPath.Child("defaultMode"), p.DefaultMode)
	paths := sets.New[string]()
	for i := range p.Sources {
		s, at := &p.Sources[i], fldPath.Child("sources").Index(i)
		errs = append(errs, exactlyOneProjection(at, s, paths, opts)...)
	}
	return errs
}

func exactlyOneProjection(fldPath *field.Path, s *corev1.VolumeProjection, paths sets.Set[string], opts PodOptions) field.ErrorList {
	items := func(at *field.Path, name string, list []corev1.KeyToPath) field.ErrorList {
		errs := required(at.Child("name"), name)
		for i := range list {
			it := at.Child("items").Index(i)
			errs = append(errs, onlyOnce(it.Child("path"), list[i].Path, paths)...)
		}
		return append(errs, keysToPaths(at.Child("items"), list)...)
	}
	return exactlyOne(fldPath, []aSource{
		{"secret", s.Secret != nil, func(at *field.Path) field.ErrorList { return items(at, s.Secret.Name, s.Secret.Items) }},
		{"configMap", s.ConfigMap != nil, func(at *field.Path) field.ErrorList { return items(at, s.ConfigMap.Name, s.ConfigMap.Items) }},
		{"downwardAPI", s.DownwardAPI != nil, func(at *field.Path) field.ErrorList {
			return downwardFiles(at.Child("items"), s.DownwardAPI.Items, paths)
		}},
		{"serviceAccountToken", s.ServiceAccountToken != nil, func(at *field.Path) field.ErrorList {
			return tokenProjection(at, s.ServiceAccountToken, paths)
		}},
		{"clusterTrustBundle", s.ClusterTrustBundle != nil, func(at *field.Path) field.ErrorList {
			return trustBundle(at, s.ClusterTrustBundle, paths, opts)
		}},
		{"podCertificate", s.PodCertificate != nil, func(at *field.Path) field.ErrorList {
			return podCertificate(at, s.PodCertificate, paths)
		}},
	}, "must specify a projection type", "may not specify more than 1 volume type")
}

func tokenProjection(fldPath *field.Path, t *corev1.ServiceAccountTokenProjection, paths sets.Set[string]) field.ErrorList {
	var errs field.ErrorList
	if t.ExpirationSeconds != nil {
		at := fldPath.Child("expirationSeconds")
		switch {
		case *t.ExpirationSeconds < minTokenSeconds:
			errs = append(errs, field.Invalid(at, *t.ExpirationSeconds, "may not specify a duration less than 10 minutes"))
		case *t.ExpirationSeconds > maxTokenSeconds:
			errs = append(errs, field.Invalid(at, *t.ExpirationSeconds, "may not specify a duration larger than 2^32 seconds"))
		}
	}
	errs = append(errs, pathOfFile(fldPath.Child("path"), t.Path)...)
	return append(errs, onlyOnce(fldPath.Child("path"), t.Path, paths)...)
}

func trustBundle(fldPath *field.Path, b *corev1.ClusterTrustBundleProjection, paths sets.Set[string], opts PodOptions) field.ErrorList {
	var errs field.ErrorList
	name, signer := b.Name != nil && *b.Name != "", b.SignerName != nil && *b.SignerName != ""
	switch {
	case name && signer:
		errs = append(errs, field.Invalid(fldPath, *b.Name, "only one of name and signerName may be used"))
	case name && b.LabelSelector != nil:
		errs = append(errs, field.Invalid(fldPath.Child("labelSelector"), b.LabelSelector, "labelSelector must be unset if name is specified"))
	case !name && !signer:
		errs = append(errs, field.Required(fldPath, "either name or signerName must be specified"))
	}
	errs = append(errs, labelSelector(fldPath.Child("labelSelector"), b.LabelSelector, opts)...)
	errs = append(errs, pathOfFile(fldPath.Child("path"), b.Path)...)
	return append(errs, onlyOnce(fldPath.Child("path"), b.Path, paths)...)
}

func podCertificate(fldPath *field.Path, c *corev1.PodCertificateProjection, paths sets.Set[string]) field.ErrorList {
	errs := certificates.ValidateSignerName(c.SignerName, fldPath.Child("signerName"))
	errs = append(errs, certificates.ValidateUserAnnotations(c.UserAnnotations, fldPath.Child("userAnnotations"))...)
	errs = append(errs, oneOf(fldPath.Child("keyType"), c.KeyType, "RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519")...)
	if s := c.MaxExpirationSeconds; s != nil {
		at := fldPath.Child("maxExpirationSeconds")
		least, most := certificates.Lifetimes(c.SignerName)
		if *s < least {
			errs = append(errs, field.Invalid(at, *s, fmt.Sprintf("if provided, maxExpirationSeconds must be >= %d", least)))
		}
		if *s > most {
			errs = append(errs, field.Invalid(at, *s, fmt.Sprintf("if provided, maxExpirationSeconds must be <= %d", most)))
		}
	}
	n := 0
	for _, p := range []struct{ name, path string }{
		{"credentialBundlePath", c.CredentialBundlePath}, {"keyPath", c.KeyPath}, {"certificateChainPath", c.CertificateChainPath}} {
		if p.path == "" {
			continue
		}
		n++
		errs = append(errs, filePath(fldPath.Child(p.name), p.path)...)
		errs = append(errs, onlyOnce(fldPath.Child(p.name), p.path, paths)...)
	}
	if n == 0 {
		errs = append(errs, field.Required(fldPath, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"))
	}
	return errs
}

func ephemeralVolume(fldPath *field.Path, e *corev1.EphemeralVolumeSource, volume string) field.ErrorList {
	at := fldPath.Child("volumeClaimTemplate")
	t := e.VolumeClaimTemplate
	if t == nil {
		return field.ErrorList{field.Required(at, "")}
	}
	return append(TemplateMeta(at.Child("metadata"), &t.ObjectMeta), claimSpec(at.Child("spec"), &t.Spec)...)
}

// TemplateMeta validates the metadata of a template for claims: labels and
// annotations, and nothing else. Upstream names fields by their Go names.
func TemplateMeta(fldPath *field.Path, m *metav1.ObjectMeta) field.ErrorList {
	errs := apivalidation.ValidateAnnotations(m.Annotations, fldPath.Child("annotations"))
	errs = append(errs, metavalidation.ValidateLabels(m.Labels, fldPath.Child("labels"))...)
	v := reflect.ValueOf(*m)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if name != "Annotations" && name != "Labels" && !v.Field(i).IsZero() {
			errs = append(errs, field.Forbidden(fldPath.Child(strings.ToLower(name[:1])+name[1:]), "cannot be set"))
		}
	}
	return errs
}

// csiDriver validates the name of a CSI driver.
func csiDriver(fldPath *field.Path, name string) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(fldPath, "")}
	}
	var errs field.ErrorList
	if len(name) > maxVolumeNameLong {
		errs = append(errs, field.TooLong(fldPath, name, maxVolumeNameLong))
	}
	return append(errs, invalid(fldPath, name, validation.IsDNS1123Subdomain(strings.ToLower(name)))...)
}
