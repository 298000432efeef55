package volume

import (
	"maps"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/validation/resources"
	"github.com/coracle-k8s/coracle/apis/extendedresource"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// claimOptions allow faults that the stored claim has already.
type claimOptions struct {
	// laxSelector lets a selector have values that no label can have.
	laxSelector bool
	// laxGroup lets the group of a data source be no domain.
	laxGroup bool
}

func claimOptionsFor(old *corev1.PersistentVolumeClaim) claimOptions {
	d, r := old.Spec.DataSource, old.Spec.DataSourceRef
	return claimOptions{
		laxSelector: len(check.LabelSelector(nil, old.Spec.Selector, false)) > 0,
		laxGroup:    d != nil && d.APIGroup != nil || r != nil && r.APIGroup != nil,
	}
}

// ValidatePersistentVolumeClaim validates a new PersistentVolumeClaim.
func ValidatePersistentVolumeClaim(c *corev1.PersistentVolumeClaim) field.ErrorList {
	return claim(c, claimOptions{})
}

func claim(c *corev1.PersistentVolumeClaim, opts claimOptions) field.ErrorList {
	errs := check.ObjectMeta(&c.ObjectMeta, true, apivalidation.NameIsDNSSubdomain)
	return append(errs, claimSpec(field.NewPath("spec"), &c.Spec, opts)...)
}

// ValidatePersistentVolumeClaimSpec validates the spec of a claim, or of a
// template of claims as a StatefulSet has them.
func ValidatePersistentVolumeClaimSpec(s *corev1.PersistentVolumeClaimSpec, fldPath *field.Path) field.ErrorList {
	return claimSpec(fldPath, s, claimOptions{})
}

func claimSpec(fldPath *field.Path, s *corev1.PersistentVolumeClaimSpec, opts claimOptions) field.ErrorList {
	var errs, modes field.ErrorList
	if modes = accessModes(fldPath.Child("accessModes"), s.AccessModes, "at least 1 access mode is required"); len(s.AccessModes) == 0 {
		errs, modes = modes, nil
	}
	errs = append(errs, check.LabelSelector(fldPath.Child("selector"), s.Selector, opts.laxSelector)...)
	errs = append(errs, modes...)
	at := fldPath.Child("resources").Key(string(corev1.ResourceStorage))
	if q, ok := s.Resources.Requests[corev1.ResourceStorage]; !ok {
		errs = append(errs, field.Required(at, ""))
	} else {
		errs = append(errs, resources.PositiveQuantity(at, q)...)
	}
	if n := s.StorageClassName; n != nil && *n != "" {
		errs = append(errs, check.Invalid(fldPath.Child("storageClassName"), *n, check.IsSubdomain(*n))...)
	}
	errs = append(errs, volumeMode(fldPath.Child("volumeMode"), s.VolumeMode)...)
	errs = append(errs, dataSources(fldPath, s, opts.laxGroup)...)
	if n := s.VolumeAttributesClassName; n != nil && *n != "" {
		errs = append(errs, check.Invalid(fldPath.Child("volumeAttributesClassName"), *n, check.IsSubdomain(*n))...)
	}
	return errs
}

func dataSources(fldPath *field.Path, s *corev1.PersistentVolumeClaimSpec, laxGroup bool) field.ErrorList {
	var errs field.ErrorList
	one := func(at *field.Path, group *string, kind, name string) {
		errs = append(errs, check.Required(at.Child("name"), name)...)
		errs = append(errs, check.Required(at.Child("kind"), kind)...)
		g := ""
		if group != nil {
			g = *group
		}
		if g == "" && kind != "PersistentVolumeClaim" {
			errs = append(errs, field.Invalid(at, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"))
		}
		if g != "" && !laxGroup {
			errs = append(errs, check.Invalid(at.Child("apiGroup"), g, check.IsSubdomain(g))...)
		}
	}
	d, r := s.DataSource, s.DataSourceRef
	if d != nil {
		one(fldPath.Child("dataSource"), d.APIGroup, d.Kind, d.Name)
	}
	if r == nil {
		return errs
	}
	one(fldPath.Child("dataSourceRef"), r.APIGroup, r.Kind, r.Name)
	elsewhere := r.Namespace != nil && *r.Namespace != ""
	if elsewhere {
		errs = append(errs, check.Invalid(fldPath.Child("dataSourceRef", "namespace"), *r.Namespace, validation.IsDNS1123Label(*r.Namespace))...)
	}
	switch {
	case d == nil:
	case elsewhere:
		errs = append(errs, field.Invalid(fldPath, fldPath.Child("dataSource"), "may not be specified when dataSourceRef.namespace is specified"))
	case !reflect.DeepEqual(d.APIGroup, r.APIGroup) || d.Kind != r.Kind || d.Name != r.Name:
		errs = append(errs, field.Invalid(fldPath, fldPath.Child("dataSource"), "must match dataSourceRef"))
	}
	return errs
}

// ValidatePersistentVolumeClaimUpdate validates an update: a bound claim may
// grow and take another attributes class, and nothing else.
func ValidatePersistentVolumeClaimUpdate(c, old *corev1.PersistentVolumeClaim) field.ErrorList {
	fldPath := field.NewPath("spec")
	errs := check.ObjectMetaUpdate(&c.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, claim(c, claimOptionsFor(old))...)
	munged, was := c.Spec.DeepCopy(), old.Spec.DeepCopy()
	if was.VolumeName == "" { // binding it
		was.VolumeName = munged.VolumeName
	}
	errs = append(errs, classUpdate(munged, c, old)...)
	if c.Status.Phase == corev1.ClaimBound {
		if munged.Resources.Requests != nil {
			munged.Resources.Requests[corev1.ResourceStorage] = old.Spec.Resources.Requests[corev1.ResourceStorage]
		}
		munged.VolumeAttributesClassName = was.VolumeAttributesClassName
	}
	if !equality.Semantic.DeepEqual(munged, was) {
		errs = append(errs, field.Forbidden(fldPath, "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n"+diff.Diff(*was, *munged)))
	}
	wanted, before := c.Spec.Resources.Requests[corev1.ResourceStorage], old.Spec.Resources.Requests[corev1.ResourceStorage]
	// A failed growth may be taken back, but not below what is there.
	if have := old.Status.Capacity[corev1.ResourceStorage]; wanted.Cmp(before) < 0 && wanted.Cmp(have) <= 0 {
		errs = append(errs, field.Forbidden(fldPath.Child("resources", "requests", "storage"), "field can not be less than status.capacity"))
	}
	errs = append(errs, check.Unchanged(field.NewPath("volumeMode"), c.Spec.VolumeMode, old.Spec.VolumeMode)...)
	switch at, now := fldPath.Child("volumeAttributesClassName"), c.Spec.VolumeAttributesClassName; {
	case old.Status.CurrentVolumeAttributesClassName == nil, equality.Semantic.DeepEqual(now, old.Spec.VolumeAttributesClassName):
	case now == nil:
		errs = append(errs, field.Forbidden(at, "update to nil is forbidden when status.currentVolumeAttributesClassName is not nil"))
	case *now == "":
		errs = append(errs, field.Forbidden(at, "update to empty string is forbidden when status.currentVolumeAttributesClassName is not nil"))
	}
	return errs
}

// classUpdate lets a claim without a class get one, that of its beta annotation
// if it has one, and sets it back in munged. The annotation itself stays.
func classUpdate(munged *corev1.PersistentVolumeClaimSpec, c, old *corev1.PersistentVolumeClaim) field.ErrorList {
	const key = corev1.BetaStorageClassAnnotation
	was, had := old.Annotations[key]
	is, has := c.Annotations[key]
	given := old.Spec.StorageClassName == nil && c.Spec.StorageClassName != nil && (!had || *c.Spec.StorageClassName == was)
	if given {
		munged.StorageClassName = nil
	}
	if given && had && (!has || is == was) || is == was {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("metadata", "annotations", key), is, apivalidation.FieldImmutableErrorMsg)}
}

// ValidatePersistentVolumeClaimStatusUpdate validates the subresource status.
func ValidatePersistentVolumeClaimStatusUpdate(c, old *corev1.PersistentVolumeClaim) field.ErrorList {
	errs := check.ObjectMetaUpdate(&c.ObjectMeta, &old.ObjectMeta)
	status := field.NewPath("status")
	errs = append(errs, check.Required(field.NewPath("resourceVersion"), c.ResourceVersion)...)
	if len(c.Spec.AccessModes) == 0 {
		errs = append(errs, field.Required(field.NewPath("Spec", "accessModes"), ""))
	}
	for _, name := range resources.Names(c.Status.Capacity) {
		errs = append(errs, resources.BasicQuantity(status.Child("capacity").Key(string(name)), c.Status.Capacity[name])...)
	}
	at := status.Child("allocatedResourceStatuses")
	known := []corev1.ClaimResourceStatus{
		corev1.PersistentVolumeClaimControllerResizeInProgress, corev1.PersistentVolumeClaimControllerResizeInfeasible,
		corev1.PersistentVolumeClaimNodeResizeInProgress, corev1.PersistentVolumeClaimNodeResizeInfeasible, corev1.PersistentVolumeClaimNodeResizePending}
	for _, name := range slices.Sorted(maps.Keys(c.Status.AllocatedResourceStatuses)) {
		errs = append(errs, claimResource(at, name)...)
		if !slices.Contains(known, c.Status.AllocatedResourceStatuses[name]) {
			errs = append(errs, field.NotSupported(at, name, known))
		}
	}
	at = status.Child("allocatedResources")
	for _, name := range resources.Names(c.Status.AllocatedResources) {
		bad := claimResource(at, name)
		if len(bad) == 0 {
			bad = resources.BasicQuantity(at.Key(string(name)), c.Status.AllocatedResources[name])
		}
		errs = append(errs, bad...)
	}
	return errs
}

// claimResource validates what a driver gives room in: storage, or something of its own.
func claimResource(fldPath *field.Path, name corev1.ResourceName) field.ErrorList {
	if errs := check.Invalid(fldPath, string(name), validation.IsQualifiedName(string(name))); len(errs) > 0 {
		return errs
	}
	if name != corev1.ResourceStorage && extendedresource.Native(name) {
		return field.ErrorList{field.NotSupported(fldPath, string(name), []corev1.ResourceName{corev1.ResourceStorage})}
	}
	return nil
}
