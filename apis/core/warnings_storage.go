package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// VolumeWarnings says what is legal in a PersistentVolume but on its way out, or
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
			w.nodeTerm(at.Index(i), &t)
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
