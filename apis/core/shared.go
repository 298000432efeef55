package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateTolerations validates tolerations outside of a pod.
func ValidateTolerations(list []corev1.Toleration, fldPath *field.Path) field.ErrorList {
	return tolerations(fldPath, list)
}

// ValidateResourceRequirements validates resources as a container has them.
func ValidateResourceRequirements(r *corev1.ResourceRequirements, fldPath *field.Path) field.ErrorList {
	return requirements(fldPath, r, nil, PodOptions{})
}

// ValidateInlinePersistentVolumeSpec validates the volume of a
// VolumeAttachment that has no PersistentVolume: CSI and what it takes to mount it.
func ValidateInlinePersistentVolumeSpec(s *corev1.PersistentVolumeSpec, fldPath *field.Path) field.ErrorList {
	const context = " in the context of inline volumes"
	var errs field.ErrorList
	forbid := func(set bool, name, detail string) {
		if set {
			errs = append(errs, field.Forbidden(fldPath.Child(name), detail+context))
		}
	}
	forbid(s.ClaimRef != nil, "claimRef", "may not be specified")
	forbid(len(s.Capacity) != 0, "capacity", "may not be specified")
	if s.CSI == nil {
		errs = append(errs, field.Required(fldPath.Child("csi"), "has to be specified"+context))
	}
	errs = append(errs, accessModes(fldPath.Child("accessModes"), s.AccessModes)...)
	policy := s.PersistentVolumeReclaimPolicy
	forbid(policy != "" && policy != corev1.PersistentVolumeReclaimRetain, "persistentVolumeReclaimPolicy", "may only be "+string(corev1.PersistentVolumeReclaimRetain))
	forbid(s.NodeAffinity != nil, "nodeAffinity", "may not be specified")
	errs = append(errs, exactlyOne(fldPath, persistentSources(&s.PersistentVolumeSource), "must specify a volume type", "may not specify more than 1 volume type")...)
	forbid(s.StorageClassName != "", "storageClassName", "may not be specified")
	forbid(s.VolumeMode != nil && *s.VolumeMode != corev1.PersistentVolumeFilesystem, "volumeMode", "may not specify volumeMode other than "+string(corev1.PersistentVolumeFilesystem))
	return errs
}

// DeprecatedNodeLabel says what to use instead of a node label, or that it is
// deprecated; "" for labels that are fine.
func DeprecatedNodeLabel(key string) string { return instead(key) }

// RoundResources rounds quantities up to thousandths, as they are stored.
func RoundResources(list corev1.ResourceList) { roundResources(list) }
