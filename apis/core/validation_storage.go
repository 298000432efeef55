package core

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidatePersistentVolume validates a new PersistentVolume.
func ValidatePersistentVolume(pv *corev1.PersistentVolume) field.ErrorList {
	return append(objectMeta(&pv.ObjectMeta, false, apivalidation.NameIsDNSSubdomain), persistentVolumeSpec(pv)...)
}

func persistentVolumeSpec(pv *corev1.PersistentVolume) field.ErrorList {
	fldPath, s := field.NewPath("spec"), &pv.Spec
	errs := accessModes(fldPath.Child("accessModes"), s.AccessModes)
	switch capacity := s.Capacity; {
	case len(capacity) == 0:
		errs = append(errs, field.Required(fldPath.Child("capacity"), ""))
	default:
		if _, ok := capacity[corev1.ResourceStorage]; !ok || len(capacity) > 1 {
			errs = append(errs, field.NotSupported(fldPath.Child("capacity"), capacity, []corev1.ResourceName{corev1.ResourceStorage}))
		}
		for _, name := range resourceNames(capacity) {
			at := fldPath.Child("capacity").Key(string(name))
			errs = append(errs, resourceName(at, name)...)
			errs = append(errs, positiveQuantity(at, capacity[name])...)
		}
	}
	errs = append(errs, oneOf(fldPath.Child("persistentVolumeReclaimPolicy"), s.PersistentVolumeReclaimPolicy,
		corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRecycle, corev1.PersistentVolumeReclaimRetain)...)
	if a := s.NodeAffinity; a != nil {
		if a.Required == nil {
			errs = append(errs, field.Required(fldPath.Child("nodeAffinity", "required"), "must specify required node constraints"))
		} else {
			errs = append(errs, nodeSelector(fldPath.Child("nodeAffinity", "required"), a.Required)...)
		}
	}
	errs = append(errs, exactlyOne(fldPath, persistentSources(&s.PersistentVolumeSource), "must specify a volume type", "may not specify more than 1 volume type")...)
	if s.Local != nil && (s.NodeAffinity == nil || s.NodeAffinity.Required == nil) {
		errs = append(errs, field.Required(fldPath.Child("nodeAffinity"), "Local volume requires node affinity"))
	}
	if s.HostPath != nil && s.HostPath.Path == "/" && s.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRecycle {
		errs = append(errs, field.Forbidden(fldPath.Child("persistentVolumeReclaimPolicy"), "may not be 'recycle' for a hostPath mount of '/'"))
	}
	if s.StorageClassName != "" {
		errs = append(errs, invalid(fldPath.Child("storageClassName"), s.StorageClassName, isSubdomain(s.StorageClassName))...)
	}
	errs = append(errs, optionalOneOf(fldPath.Child("volumeMode"), s.VolumeMode, corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem)...)
	if c := s.VolumeAttributesClassName; c != nil {
		if at := fldPath.Child("volumeAttributesClassName"); *c == "" {
			errs = append(errs, field.Required(at, "an empty string is disallowed"))
		} else {
			errs = append(errs, invalid(at, *c, isSubdomain(*c))...)
		}
		if s.CSI == nil {
			errs = append(errs, field.Required(fldPath.Child("csi"), "has to be specified when using volumeAttributesClassName"))
		}
	}
	return errs
}

// ValidatePersistentVolumeUpdate validates an update: where the volume is may not change.
func ValidatePersistentVolumeUpdate(pv, old *corev1.PersistentVolume) field.ErrorList {
	fldPath := field.NewPath("spec")
	errs := objectMetaUpdate(&pv.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, persistentVolumeSpec(pv)...)
	now, was := pv.Spec.PersistentVolumeSource.DeepCopy(), &old.Spec.PersistentVolumeSource
	if now.CSI != nil && was.CSI != nil {
		// a driver may learn later with which secret to grow the volume
		if was.CSI.ControllerExpandSecretRef == nil {
			now.CSI.ControllerExpandSecretRef = nil
		}
		if was.CSI.NodeExpandSecretRef == nil {
			now.CSI.NodeExpandSecretRef = nil
		}
	}
	if !equality.Semantic.DeepEqual(now, was) {
		errs = append(errs, field.Forbidden(field.NewPath("spec", "persistentvolumesource"), "spec.persistentvolumesource is immutable after creation\n"+diff.Diff(now, was)))
	}
	errs = append(errs, unchanged(fldPath.Child("volumeMode"), pv.Spec.VolumeMode, old.Spec.VolumeMode)...)
	if old.Spec.NodeAffinity != nil {
		errs = append(errs, unchanged(fldPath.Child("nodeAffinity"), pv.Spec.NodeAffinity, old.Spec.NodeAffinity)...)
	}
	return errs
}

// ValidatePersistentVolumeStatusUpdate validates the subresource status.
func ValidatePersistentVolumeStatusUpdate(pv, old *corev1.PersistentVolume) field.ErrorList {
	return objectMetaUpdate(&pv.ObjectMeta, &old.ObjectMeta)
}

func accessModes(fldPath *field.Path, list []corev1.PersistentVolumeAccessMode) field.ErrorList {
	if len(list) == 0 {
		return field.ErrorList{field.Required(fldPath, "at least 1 access mode is required")}
	}
	var errs field.ErrorList
	for _, m := range list {
		errs = append(errs, oneOf(fldPath, m, corev1.ReadOnlyMany, corev1.ReadWriteMany, corev1.ReadWriteOnce, corev1.ReadWriteOncePod)...)
	}
	if len(list) > 1 && slices.Contains(list, corev1.ReadWriteOncePod) {
		errs = append(errs, field.Forbidden(fldPath, "may not use ReadWriteOncePod with other access modes"))
	}
	return errs
}

// ValidatePersistentVolumeClaim validates a new PersistentVolumeClaim.
func ValidatePersistentVolumeClaim(c *corev1.PersistentVolumeClaim) field.ErrorList {
	errs := objectMeta(&c.ObjectMeta, true, apivalidation.NameIsDNSSubdomain)
	return append(errs, claimSpec(field.NewPath("spec"), &c.Spec)...)
}

// ValidatePersistentVolumeClaimSpec validates the spec of a claim, or of a
// template of claims as a StatefulSet has them.
func ValidatePersistentVolumeClaimSpec(s *corev1.PersistentVolumeClaimSpec, fldPath *field.Path) field.ErrorList {
	return claimSpec(fldPath, s)
}

func claimSpec(fldPath *field.Path, s *corev1.PersistentVolumeClaimSpec) field.ErrorList {
	errs := accessModes(fldPath.Child("accessModes"), s.AccessModes)
	errs = append(errs, labelSelector(fldPath.Child("selector"), s.Selector, PodOptions{})...)
	if q, ok := s.Resources.Requests[corev1.ResourceStorage]; !ok {
		errs = append(errs, field.Required(fldPath.Child("resources").Key(string(corev1.ResourceStorage)), ""))
	} else {
		errs = append(errs, resourceName(fldPath.Child("resources").Key(string(corev1.ResourceStorage)), corev1.ResourceStorage)...)
		errs = append(errs, positiveQuantity(fldPath.Child("resources").Key(string(corev1.ResourceStorage)), q)...)
		if limit, ok := s.Resources.Limits[corev1.ResourceStorage]; ok && q.Cmp(limit) > 0 {
			errs = append(errs, field.Invalid(fldPath.Child("resources", "requests"), q.String(), fmt.Sprintf("must be less than or equal to storage limit of %s", limit.String())))
		}
	}
	if n := s.StorageClassName; n != nil && *n != "" {
		errs = append(errs, invalid(fldPath.Child("storageClassName"), *n, isSubdomain(*n))...)
	}
	errs = append(errs, optionalOneOf(fldPath.Child("volumeMode"), s.VolumeMode, corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem)...)
	if n := s.VolumeAttributesClassName; n != nil && *n != "" {
		errs = append(errs, invalid(fldPath.Child("volumeAttributesClassName"), *n, isSubdomain(*n))...)
	}
	return append(errs, dataSources(fldPath, s)...)
}

func dataSources(fldPath *field.Path, s *corev1.PersistentVolumeClaimSpec) field.ErrorList {
	var errs field.ErrorList
	check := func(at *field.Path, group *string, kind, name string) {
		errs = append(errs, required(at.Child("name"), name)...)
		errs = append(errs, required(at.Child("kind"), kind)...)
		g := ""
		if group != nil {
			g = *group
		}
		if g == "" && kind != "PersistentVolumeClaim" {
			errs = append(errs, field.Invalid(at, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"))
		}
		if g != "" {
			errs = append(errs, invalid(at.Child("apiGroup"), g, isSubdomain(g))...)
		}
	}
	if d := s.DataSource; d != nil {
		check(fldPath.Child("dataSource"), d.APIGroup, d.Kind, d.Name)
	}
	r := s.DataSourceRef
	if r == nil {
		return errs
	}
	check(fldPath.Child("dataSourceRef"), r.APIGroup, r.Kind, r.Name)
	if r.Namespace != nil && *r.Namespace != "" {
		errs = append(errs, invalid(fldPath.Child("dataSourceRef", "namespace"), *r.Namespace, validation.IsDNS1123Label(*r.Namespace))...)
		if s.DataSource != nil {
			errs = append(errs, field.Invalid(fldPath, fldPath.Child("dataSource"), "may not be specified when dataSourceRef.namespace is specified"))
		}
		return errs
	}
	if d := s.DataSource; d != nil && !(equality.Semantic.DeepEqual(d.APIGroup, r.APIGroup) && d.Kind == r.Kind && d.Name == r.Name) {
		errs = append(errs, field.Invalid(fldPath, fldPath.Child("dataSource"), "must match dataSourceRef"))
	}
	return errs
}

// ValidatePersistentVolumeClaimUpdate validates an update: a bound claim may
// grow and take another attributes class, and nothing else.
func ValidatePersistentVolumeClaimUpdate(c, old *corev1.PersistentVolumeClaim) field.ErrorList {
	fldPath := field.NewPath("spec")
	errs := objectMetaUpdate(&c.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, claimSpec(fldPath, &c.Spec)...)
	munged := c.Spec.DeepCopy()
	if old.Spec.VolumeName == "" { // binding it
		munged.VolumeName = ""
	}
	munged.VolumeAttributesClassName = old.Spec.VolumeAttributesClassName
	now, was := c.Spec.Resources.Requests[corev1.ResourceStorage], old.Spec.Resources.Requests[corev1.ResourceStorage]
	if old.Status.Phase == corev1.ClaimBound {
		munged.Resources.Requests = munged.Resources.Requests.DeepCopy()
		setResource(&munged.Resources.Requests, corev1.ResourceStorage, was)
		have := old.Status.Capacity[corev1.ResourceStorage]
		if now.Cmp(was) < 0 && now.Cmp(have) <= 0 { // a failed growth may be taken back, but not below what is there
			errs = append(errs, field.Forbidden(fldPath.Child("resources", "requests", "storage"), "field can not be less than status.capacity"))
		}
	}
	if old.Spec.StorageClassName == nil && munged.StorageClassName != nil { // the default class was found later
		munged.StorageClassName = nil
	}
	if !equality.Semantic.DeepEqual(*munged, old.Spec) {
		errs = append(errs, field.Forbidden(fldPath, "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n"+diff.Diff(*munged, old.Spec)))
	}
	if old.Spec.VolumeAttributesClassName != nil && *old.Spec.VolumeAttributesClassName != "" && c.Spec.VolumeAttributesClassName == nil {
		errs = append(errs, field.Forbidden(fldPath.Child("volumeAttributesClassName"), "update from non-nil value to nil is forbidden"))
	}
	return errs
}

// ValidatePersistentVolumeClaimStatusUpdate validates the subresource status.
func ValidatePersistentVolumeClaimStatusUpdate(c, old *corev1.PersistentVolumeClaim) field.ErrorList {
	errs := objectMetaUpdate(&c.ObjectMeta, &old.ObjectMeta)
	status := field.NewPath("status")
	if len(c.ResourceVersion) == 0 {
		errs = append(errs, field.Required(field.NewPath("resourceVersion"), ""))
	}
	if len(c.Spec.AccessModes) == 0 {
		errs = append(errs, field.Required(field.NewPath("Spec", "accessModes"), ""))
	}
	for _, name := range resourceNames(c.Status.Capacity) {
		errs = append(errs, nonnegativeQuantity(status.Child("capacity").Key(string(name)), c.Status.Capacity[name])...)
	}
	at := status.Child("allocatedResources")
	for _, name := range resourceNames(c.Status.AllocatedResources) {
		if bad := claimResource(at, name); len(bad) > 0 {
			errs = append(errs, bad...)
			continue
		}
		errs = append(errs, nonnegativeQuantity(at.Key(string(name)), c.Status.AllocatedResources[name])...)
	}
	at = status.Child("allocatedResourceStatuses")
	for name, s := range c.Status.AllocatedResourceStatuses {
		errs = append(errs, claimResource(at, name)...)
		errs = append(errs, oneOf(at, s,
			corev1.PersistentVolumeClaimControllerResizeInProgress, corev1.PersistentVolumeClaimControllerResizeInfeasible,
			corev1.PersistentVolumeClaimNodeResizePending, corev1.PersistentVolumeClaimNodeResizeInProgress, corev1.PersistentVolumeClaimNodeResizeInfeasible)...)
	}
	return errs
}

// claimResource validates what a driver gives room in: storage, or something of its own.
func claimResource(fldPath *field.Path, name corev1.ResourceName) field.ErrorList {
	if errs := invalid(fldPath, string(name), validation.IsQualifiedName(string(name))); len(errs) > 0 {
		return errs
	}
	if domain, _, ok := strings.Cut(string(name), "/"); name != corev1.ResourceStorage && (!ok || strings.Contains(domain+"/", corev1.ResourceDefaultNamespacePrefix)) {
		return field.ErrorList{field.NotSupported(fldPath, name, []corev1.ResourceName{corev1.ResourceStorage})}
	}
	return nil
}
