package volume

import (
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/node"
	"github.com/coracle-k8s/coracle/apis/core/validation/resources"
	"github.com/coracle-k8s/coracle/apis/core/validation/scheduling"
	"github.com/coracle-k8s/coracle/apis/hub"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// ValidatePersistentVolume validates a new PersistentVolume.
func ValidatePersistentVolume(pv *corev1.PersistentVolume) field.ErrorList {
	return persistentVolume(pv, false)
}

// persistentVolume validates one whose node affinity may, if lax, have values
// that no label can have.
func persistentVolume(pv *corev1.PersistentVolume, lax bool) field.ErrorList {
	errs := check.ObjectMeta(&pv.ObjectMeta, false, apivalidation.NameIsDNSSubdomain)
	errs = append(errs, persistentVolumeSpec(field.NewPath("spec"), &pv.Spec, pv.Name, lax)...)
	return append(errs, mountOptions(pv)...)
}

// mountOptions validates which volumes may have their options in an annotation.
func mountOptions(pv *corev1.PersistentVolume) field.ErrorList {
	s := &pv.Spec.PersistentVolumeSource
	_, ok := pv.Annotations[corev1.MountOptionAnnotation]
	if !ok || s.GCEPersistentDisk != nil || s.AWSElasticBlockStore != nil || s.Glusterfs != nil || s.NFS != nil || s.RBD != nil ||
		s.Quobyte != nil || s.ISCSI != nil || s.Cinder != nil || s.CephFS != nil || s.AzureFile != nil || s.VsphereVolume != nil ||
		s.AzureDisk != nil || s.PhotonPersistentDisk != nil {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath("metadata", "annotations", corev1.MountOptionAnnotation), "may not specify mount options for this volume type")}
}

func persistentVolumeSpec(fldPath *field.Path, s *corev1.PersistentVolumeSpec, name string, lax bool) field.ErrorList {
	errs := accessModes(fldPath.Child("accessModes"), s.AccessModes, "")
	errs = append(errs, volumeCapacity(fldPath.Child("capacity"), s.Capacity)...)
	if p := s.PersistentVolumeReclaimPolicy; p != "" {
		errs = append(errs, check.OneOf(fldPath.Child("persistentVolumeReclaimPolicy"), p,
			corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRecycle, corev1.PersistentVolumeReclaimRetain)...)
	}
	if a := s.NodeAffinity; a != nil {
		if at := fldPath.Child("nodeAffinity", "required"); a.Required == nil {
			errs = append(errs, field.Required(at, "must specify required node constraints"))
		} else {
			errs = append(errs, scheduling.NodeSelector(at, a.Required, lax)...)
		}
	}
	errs = append(errs, check.ExactlyOne(fldPath, persistentSources(fldPath, s, name), noVolumeType, oneVolumeType)...)
	if s.HostPath != nil && path.Clean(s.HostPath.Path) == "/" && s.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRecycle {
		errs = append(errs, field.Forbidden(fldPath.Child("persistentVolumeReclaimPolicy"), "may not be 'recycle' for a hostPath mount of '/'"))
	}
	if s.StorageClassName != "" {
		errs = append(errs, check.Invalid(fldPath.Child("storageClassName"), s.StorageClassName, check.IsSubdomain(s.StorageClassName))...)
	}
	errs = append(errs, volumeMode(fldPath.Child("volumeMode"), s.VolumeMode)...)
	return append(errs, attributesClass(fldPath, s)...)
}

func volumeMode(fldPath *field.Path, m *corev1.PersistentVolumeMode) field.ErrorList {
	return check.OptionalOneOf(fldPath, m, corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem)
}

// volumeCapacity validates that a volume has storage, and nothing else.
func volumeCapacity(fldPath *field.Path, capacity corev1.ResourceList) field.ErrorList {
	var errs field.ErrorList
	if len(capacity) == 0 {
		errs = append(errs, field.Required(fldPath, ""))
	}
	if _, ok := capacity[corev1.ResourceStorage]; !ok || len(capacity) > 1 {
		errs = append(errs, field.NotSupported(fldPath, capacity, []corev1.ResourceName{corev1.ResourceStorage}))
	}
	for _, name := range resources.Names(capacity) {
		errs = append(errs, resources.BasicQuantity(fldPath.Key(string(name)), capacity[name])...)
		errs = append(errs, resources.PositiveQuantity(fldPath.Key(string(name)), capacity[name])...)
	}
	return errs
}

func attributesClass(fldPath *field.Path, s *corev1.PersistentVolumeSpec) field.ErrorList {
	c := s.VolumeAttributesClassName
	if c == nil {
		return nil
	}
	var errs field.ErrorList
	if at := fldPath.Child("volumeAttributesClassName"); *c == "" {
		errs = append(errs, field.Required(at, "an empty string is disallowed"))
	} else {
		errs = append(errs, check.Invalid(at, *c, check.IsSubdomain(*c))...)
	}
	if s.CSI == nil {
		errs = append(errs, field.Required(fldPath.Child("csi"), "has to be specified when using volumeAttributesClassName"))
	}
	return errs
}

// ValidatePersistentVolumeUpdate validates an update: where the volume is may not change.
func ValidatePersistentVolumeUpdate(pv, old *corev1.PersistentVolume) field.ErrorList {
	lax := false
	if a := old.Spec.NodeAffinity; a != nil && a.Required != nil {
		lax = scheduling.BadNodeValues(a.Required)
	}
	errs := persistentVolume(pv, lax)
	now, was := pv.Spec.PersistentVolumeSource.DeepCopy(), &old.Spec.PersistentVolumeSource
	if now.CSI != nil && was.CSI != nil && was.CSI.ControllerExpandSecretRef == nil {
		// a driver may learn later with which secret to grow the volume
		now.CSI.ControllerExpandSecretRef = nil
	}
	if !equality.Semantic.DeepEqual(now, was) {
		errs = append(errs, field.Forbidden(field.NewPath("spec", "persistentvolumesource"), "spec.persistentvolumesource is immutable after creation\n"+diff.Diff(was, now)))
	}
	errs = append(errs, check.Unchanged(field.NewPath("volumeMode"), pv.Spec.VolumeMode, old.Spec.VolumeMode)...)
	if old.Spec.NodeAffinity != nil && !equality.Semantic.DeepEqual(pv.Spec.NodeAffinity, withStableLabels(old.Spec.NodeAffinity, pv.Spec.NodeAffinity)) {
		errs = append(errs, field.Invalid(field.NewPath("nodeAffinity"), hub.Internal(pv.Spec.NodeAffinity), apivalidation.FieldImmutableErrorMsg+", except for updating from beta label to GA"))
	}
	if old.Spec.VolumeAttributesClassName != nil && pv.Spec.VolumeAttributesClassName == nil {
		errs = append(errs, field.Forbidden(field.NewPath("spec", "volumeAttributesClassName"), "update from non-nil value to nil is forbidden"))
	}
	return errs
}

// withStableLabels returns old with those beta labels of nodes replaced that now
// has under their stable names.
func withStableLabels(old, now *corev1.VolumeNodeAffinity) *corev1.VolumeNodeAffinity {
	out := old.DeepCopy()
	if out.Required == nil || now == nil || now.Required == nil {
		return out
	}
	stable := map[string]string{
		corev1.LabelFailureDomainBetaZone: corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaRegion: corev1.LabelTopologyRegion,
		node.LabelBetaOS: corev1.LabelOSStable, node.LabelBetaArch: corev1.LabelArchStable, corev1.LabelInstanceType: corev1.LabelInstanceTypeStable,
	}
	replace := func(old, now []corev1.NodeSelectorRequirement) {
		for i := range min(len(old), len(now)) {
			if stable[old[i].Key] == now[i].Key { // "" is all others' name, as in upstream
				old[i].Key = now[i].Key
			}
		}
	}
	for i := range min(len(out.Required.NodeSelectorTerms), len(now.Required.NodeSelectorTerms)) {
		o, n := &out.Required.NodeSelectorTerms[i], &now.Required.NodeSelectorTerms[i]
		replace(o.MatchExpressions, n.MatchExpressions)
		replace(o.MatchFields, n.MatchFields)
	}
	return out
}

// ValidatePersistentVolumeStatusUpdate validates the subresource status.
func ValidatePersistentVolumeStatusUpdate(pv, old *corev1.PersistentVolume) field.ErrorList {
	errs := check.ObjectMetaUpdate(&pv.ObjectMeta, &old.ObjectMeta)
	return append(errs, check.Required(field.NewPath("resourceVersion"), pv.ResourceVersion)...)
}

func accessModes(fldPath *field.Path, list []corev1.PersistentVolumeAccessMode, none string) field.ErrorList {
	if len(list) == 0 {
		return field.ErrorList{field.Required(fldPath, none)}
	}
	var errs field.ErrorList
	others := false
	for _, m := range list {
		bad := check.OneOf(fldPath, m, corev1.ReadOnlyMany, corev1.ReadWriteMany, corev1.ReadWriteOnce, corev1.ReadWriteOncePod)
		others = others || m != corev1.ReadWriteOncePod && len(bad) == 0
		errs = append(errs, bad...)
	}
	if others && slices.Contains(list, corev1.ReadWriteOncePod) {
		errs = append(errs, field.Forbidden(fldPath, "may not use ReadWriteOncePod with other access modes"))
	}
	return errs
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
	errs = append(errs, accessModes(fldPath.Child("accessModes"), s.AccessModes, "")...)
	policy := s.PersistentVolumeReclaimPolicy
	forbid(policy != "" && policy != corev1.PersistentVolumeReclaimRetain, "persistentVolumeReclaimPolicy", "may only be "+string(corev1.PersistentVolumeReclaimRetain))
	forbid(s.NodeAffinity != nil, "nodeAffinity", "may not be specified")
	unplaced := *s
	unplaced.NodeAffinity = nil // it is not counted here
	errs = append(errs, check.ExactlyOne(fldPath, persistentSources(fldPath, &unplaced, ""), noVolumeType, oneVolumeType)...)
	if s.HostPath != nil && path.Clean(s.HostPath.Path) == "/" && policy == corev1.PersistentVolumeReclaimRecycle {
		errs = append(errs, field.Forbidden(fldPath.Child("persistentVolumeReclaimPolicy"), "may not be 'recycle' for a hostPath mount of '/'"))
	}
	forbid(s.StorageClassName != "", "storageClassName", "may not be specified")
	forbid(s.VolumeMode != nil && *s.VolumeMode != corev1.PersistentVolumeFilesystem, "volumeMode", "may not specify volumeMode other than "+string(corev1.PersistentVolumeFilesystem))
	return append(errs, attributesClass(fldPath, s)...)
}
