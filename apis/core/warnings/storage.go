package warnings

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// VolumeWarnings returns warnings about what is legal in a PersistentVolume but on its way out, or
// of no effect any more.
func VolumeWarnings(pv *corev1.PersistentVolume) []string {
	w, spec, s := warner{}, field.NewPath("spec"), &pv.Spec
	annotations := field.NewPath("metadata", "annotations")
	for _, a := range []struct{ key, text string }{
		{corev1.BetaStorageClassAnnotation, `deprecated since v1.8; use "storageClassName" attribute instead`},
		{corev1.MountOptionAnnotation, `deprecated since v1.31; use "mountOptions" attribute instead`},
	} {
		if _, ok := pv.Annotations[a.key]; ok {
			w.add(annotations.Key(a.key), "%s", a.text)
		}
	}
	if s.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRecycle {
		w.add(spec.Child("persistentVolumeReclaimPolicy"), "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.")
	}
	if a := s.NodeAffinity; a != nil && a.Required != nil {
		at := spec.Child("nodeAffinity", "required", "nodeSelectorTerms")
		for i, t := range a.Required.NodeSelectorTerms {
			w.nodeTerm(at.Index(i), &t, false)
		}
	}
	for _, gone := range []struct {
		name        string
		used        bool
		since, dead string
	}{
		{"cephfs", s.CephFS != nil, "v1.28", "v1.31"},
		{"photonPersistentDisk", s.PhotonPersistentDisk != nil, "v1.11", "v1.16"},
		{"scaleIO", s.ScaleIO != nil, "v1.16", "v1.22"},
		{"storageOS", s.StorageOS != nil, "v1.22", "v1.25"},
		{"glusterfs", s.Glusterfs != nil, "v1.25", "v1.26"},
		{"rbd", s.RBD != nil, "v1.28", "v1.31"},
	} {
		if gone.used {
			w.add(spec.Child(gone.name), "deprecated in %s, non-functional in %s+", gone.since, gone.dead)
		}
	}
	return w.list
}

// ClaimWarnings returns warnings about what is legal in a PersistentVolumeClaim but probably a mistake.
func ClaimWarnings(c *corev1.PersistentVolumeClaim) []string {
	w := warner{}
	if _, ok := c.Annotations[corev1.BetaStorageClassAnnotation]; ok {
		w.add(field.NewPath("metadata", "annotations").Key(corev1.BetaStorageClassAnnotation), `deprecated since v1.8; use "storageClassName" attribute instead`)
	}
	w.claim(field.NewPath("spec"), &c.Spec)
	return w.list
}

// claim warns of amounts that are no whole number of bytes.
func (w *warner) claim(fldPath *field.Path, s *corev1.PersistentVolumeClaimSpec) {
	w.bytes(fldPath.Child("resources", "requests"), s.Resources.Requests, corev1.ResourceStorage)
	w.bytes(fldPath.Child("resources", "limits"), s.Resources.Limits, corev1.ResourceStorage)
}
