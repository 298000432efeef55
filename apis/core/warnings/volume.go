package warnings

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func (w *warner) volume(fldPath *field.Path, v *corev1.Volume) {
	gone := func(name string, set bool, since, dead string) {
		if set {
			w.add(fldPath.Child(name), "deprecated in %s, %s", since, dead)
		}
	}
	gone("photonPersistentDisk", v.PhotonPersistentDisk != nil, "v1.11", "non-functional in v1.16+")
	gone("gitRepo", v.GitRepo != nil, "v1.11", "and disabled by default in v1.33+")
	gone("scaleIO", v.ScaleIO != nil, "v1.16", "non-functional in v1.22+")
	gone("flocker", v.Flocker != nil, "v1.22", "non-functional in v1.25+")
	gone("storageOS", v.StorageOS != nil, "v1.22", "non-functional in v1.25+")
	gone("quobyte", v.Quobyte != nil, "v1.22", "non-functional in v1.25+")
	gone("glusterfs", v.Glusterfs != nil, "v1.25", "non-functional in v1.26+")
	if v.Ephemeral != nil && v.Ephemeral.VolumeClaimTemplate != nil {
		w.claim(fldPath.Child("ephemeral", "volumeClaimTemplate", "spec"), &v.Ephemeral.VolumeClaimTemplate.Spec)
	}
	gone("cephfs", v.CephFS != nil, "v1.28", "non-functional in v1.31+")
	gone("rbd", v.RBD != nil, "v1.28", "non-functional in v1.31+")
}

// virtualPath is a path in a volume with where it comes from, if it is one of several sources.
type virtualPath struct{ path, source string }

// String implements fmt.Stringer.
func (p virtualPath) String() string {
	if p.source == "" {
		return fmt.Sprintf("%q", p.path)
	}
	return fmt.Sprintf("%q (%s)", p.path, p.source)
}

// overlaps warns of files of a volume that are in each other's place.
func (w *warner) overlaps(volumes []corev1.Volume) {
	for i := range volumes {
		v := &volumes[i]
		if c := v.ConfigMap; c != nil {
			w.overlapping(v.Name, fmt.Sprintf("ConfigMap %q", c.Name), keyPaths(c.Items, ""))
		}
		if s := v.Secret; s != nil {
			w.overlapping(v.Name, fmt.Sprintf("Secret %q", s.SecretName), keyPaths(s.Items, ""))
		}
		if d := v.DownwardAPI; d != nil {
			w.overlapping(v.Name, "DownwardAPI", fieldPaths(d.Items, ""))
		}
		if v.Projected == nil {
			continue
		}
		var paths []virtualPath
		for j := range v.Projected.Sources {
			s := &v.Projected.Sources[j]
			if *s == (corev1.VolumeProjection{}) {
				w.list = append(w.list, fmt.Sprintf("volume %q (Projected) has no sources provided", v.Name))
			}
			paths = append(paths, sourcePaths(s)...)
		}
		w.overlapping(v.Name, "Projected", paths)
	}
}

func (w *warner) overlapping(volume, kind string, paths []virtualPath) {
	within := func(a, b string) bool { return strings.HasPrefix(a+"/", b+"/") }
	for i := range paths {
		paths[i].path = strings.TrimRight(paths[i].path, "/")
		p := paths[i]
		for _, o := range paths[:i] {
			if p.path != "" && o.path != "" && (within(o.path, p.path) || within(p.path, o.path)) {
				w.list = append(w.list, fmt.Sprintf("volume %q (%s): overlapping paths: %s with %s", volume, kind, p, o))
			}
		}
	}
}

func keyPaths(items []corev1.KeyToPath, source string) []virtualPath {
	var list []virtualPath
	for _, it := range items {
		list = append(list, virtualPath{it.Path, source})
	}
	return list
}

func fieldPaths(items []corev1.DownwardAPIVolumeFile, source string) []virtualPath {
	var list []virtualPath
	for _, it := range items {
		list = append(list, virtualPath{it.Path, source})
	}
	return list
}

// sourcePaths returns the files of one source of a projected volume: of the
// first kind that lists any, if several are set.
func sourcePaths(s *corev1.VolumeProjection) []virtualPath {
	switch {
	case s.ConfigMap != nil && s.ConfigMap.Items != nil:
		return keyPaths(s.ConfigMap.Items, fmt.Sprintf("ConfigMap %q", s.ConfigMap.Name))
	case s.Secret != nil && s.Secret.Items != nil:
		return keyPaths(s.Secret.Items, fmt.Sprintf("Secret %q", s.Secret.Name))
	case s.DownwardAPI != nil && s.DownwardAPI.Items != nil:
		return fieldPaths(s.DownwardAPI.Items, "DownwardAPI")
	case s.ServiceAccountToken != nil:
		return []virtualPath{{s.ServiceAccountToken.Path, "ServiceAccountToken"}}
	case s.ClusterTrustBundle != nil:
		name := s.ClusterTrustBundle.Name
		if name == nil {
			name = s.ClusterTrustBundle.SignerName
		}
		if name == nil {
			name = new(string)
		}
		return []virtualPath{{s.ClusterTrustBundle.Path, fmt.Sprintf("ClusterTrustBundle %q", *name)}}
	case s.PodCertificate != nil:
		c := s.PodCertificate
		return []virtualPath{{c.CertificateChainPath, "PodCertificate chain"}, {c.KeyPath, "PodCertificate key"},
			{c.CredentialBundlePath, "PodCertificate credential bundle"}}
	}
	return nil
}
