package pod

import (
	"iter"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// VolumeSecret is a secret that a PersistentVolume names.
type VolumeSecret struct {
	Namespace, Name string
	// Path is the field with the name, from the volume on.
	Path *field.Path
	// Controller marks a secret for the driver's controller, which nodes do not
	// read.
	Controller bool
}

// VolumeSecrets yields the secrets that v names, but those without a name.
// Kinds of old leave out the namespace of a secret in that of the claim; for
// CSI, Cinder and StorageOS it is required.
func VolumeSecrets(v *corev1.PersistentVolume) iter.Seq[VolumeSecret] {
	return func(yield func(VolumeSecret) bool) {
		for _, s := range volumeSecrets(&v.Spec) {
			if s.Name != "" && !yield(s) {
				return
			}
		}
	}
}

func volumeSecrets(spec *corev1.PersistentVolumeSpec) []VolumeSecret {
	var all []VolumeSecret
	claim := ""
	if spec.ClaimRef != nil {
		claim = spec.ClaimRef.Namespace
	}
	named := func(r *corev1.SecretReference, otherwise string, controller bool, source string, path ...string) {
		if r == nil {
			return
		}
		s := VolumeSecret{Namespace: r.Namespace, Name: r.Name, Path: field.NewPath("spec", source).Child(path[0], path[1:]...), Controller: controller}
		if s.Namespace == "" {
			s.Namespace = otherwise
		}
		all = append(all, s)
	}
	if s := spec.AzureFile; s != nil {
		named(&corev1.SecretReference{Namespace: ptr.Deref(s.SecretNamespace, ""), Name: s.SecretName}, claim, false, "azureFile", "secretName")
	}
	if s := spec.CephFS; s != nil {
		named(s.SecretRef, claim, false, "cephfs", "secretRef", "name")
	}
	if s := spec.Cinder; s != nil {
		named(s.SecretRef, "", false, "cinder", "secretRef", "name")
	}
	if s := spec.FlexVolume; s != nil {
		named(s.SecretRef, claim, false, "flexVolume", "secretRef", "name")
	}
	if s := spec.RBD; s != nil {
		named(s.SecretRef, claim, false, "rbd", "secretRef", "name")
	}
	if s := spec.ScaleIO; s != nil {
		named(s.SecretRef, claim, false, "scaleIO", "secretRef", "name")
	}
	if s := spec.ISCSI; s != nil {
		named(s.SecretRef, claim, false, "iscsi", "secretRef", "name")
	}
	if s := spec.StorageOS; s != nil {
		if r := s.SecretRef; r != nil {
			named(&corev1.SecretReference{Namespace: r.Namespace, Name: r.Name}, "", false, "storageos", "secretRef", "name")
		}
	}
	if s := spec.CSI; s != nil {
		named(s.ControllerPublishSecretRef, "", true, "csi", "controllerPublishSecretRef", "name")
		named(s.ControllerExpandSecretRef, "", true, "csi", "controllerExpandSecretRef", "name")
		named(s.NodePublishSecretRef, "", false, "csi", "nodePublishSecretRef", "name")
		named(s.NodeStageSecretRef, "", false, "csi", "nodeStageSecretRef", "name")
		named(s.NodeExpandSecretRef, "", false, "csi", "nodeExpandSecretRef", "name")
	}
	return all
}
