package storage

import (
	"math"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/validation/volume"
	corewarnings "github.com/coracle-k8s/coracle/apis/core/warnings"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// Limits of storage.k8s.io/v1.
const (
	maxParameters        = 512
	maxParametersBytes   = 256 << 10
	maxAttachmentBytes   = 256 << 10
	maxErrorMessageBytes = 1024
)

var (
	metaPath = field.NewPath("metadata")
	specPath = field.NewPath("spec")
)

func validateMeta(m *metav1.ObjectMeta, namespaced bool) field.ErrorList {
	return validation.ValidateObjectMeta(m, namespaced, validation.NameIsDNSSubdomain, metaPath)
}

func validateMetaUpdate(m, old *metav1.ObjectMeta) field.ErrorList {
	return validation.ValidateObjectMetaUpdate(m, old, metaPath)
}

// declaredImmutable is immutable as upstream declares it beside the types: the error
// does not show the value.
func declaredImmutable(path *field.Path, now, old any) field.ErrorList {
	if equality.Semantic.DeepEqual(now, old) {
		return nil
	}
	return field.ErrorList{field.Invalid(path, nil, validation.FieldImmutableErrorMsg)}
}

// ValidateStorageClass validates a new StorageClass.
func ValidateStorageClass(c *storagev1.StorageClass) field.ErrorList {
	return append(storageClass(c), check.Required(field.NewPath("provisioner"), c.Provisioner)...)
}

func storageClass(c *storagev1.StorageClass) field.ErrorList {
	errs := validateMeta(&c.ObjectMeta, false)
	errs = append(errs, provisioner(field.NewPath("provisioner"), c.Provisioner)...)
	errs = append(errs, parameters(field.NewPath("parameters"), c.Parameters)...)
	if p := c.ReclaimPolicy; p != nil && *p != "" {
		errs = append(errs, check.OptionalOneOf(field.NewPath("reclaimPolicy"), p, corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRetain)...)
	}
	errs = append(errs, check.SetOneOf(field.NewPath("volumeBindingMode"), c.VolumeBindingMode, storagev1.VolumeBindingImmediate, storagev1.VolumeBindingWaitForFirstConsumer)...)
	return append(errs, topologies(field.NewPath("allowedTopologies"), c.AllowedTopologies)...)
}

// ValidateStorageClassUpdate validates a changed StorageClass. Volumes were
// made by its first version, so most fields are immutable.
func ValidateStorageClassUpdate(c, old *storagev1.StorageClass) field.ErrorList {
	errs := append(storageClass(c), validateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta)...)
	errs = append(errs, check.Required(field.NewPath("provisioner"), c.Provisioner)...)
	errs = append(errs, declaredImmutable(field.NewPath("provisioner"), c.Provisioner, old.Provisioner)...)
	errs = append(errs, declaredImmutable(field.NewPath("parameters"), c.Parameters, old.Parameters)...)
	errs = append(errs, declaredImmutable(field.NewPath("reclaimPolicy"), c.ReclaimPolicy, old.ReclaimPolicy)...)
	return append(errs, declaredImmutable(field.NewPath("volumeBindingMode"), c.VolumeBindingMode, old.VolumeBindingMode)...)
}

// StorageClassWarnings returns a warning for each deprecated node label.
func StorageClassWarnings(c *storagev1.StorageClass) []string {
	var warnings []string
	for i, t := range c.AllowedTopologies {
		for j, e := range t.MatchLabelExpressions {
			if msg := corewarnings.DeprecatedNodeLabel(e.Key); msg != "" {
				at := field.NewPath("allowedTopologies").Index(i).Child("matchLabelExpressions").Index(j).Child("key")
				warnings = append(warnings, at.String()+": "+msg)
			}
		}
	}
	return warnings
}

func provisioner(path *field.Path, name string) field.ErrorList {
	if name == "" {
		return nil // see required
	}
	lower := strings.ToLower(name)
	return check.Invalid(path, lower, utilvalidation.IsQualifiedName(lower))
}

func parameters(path *field.Path, params map[string]string) field.ErrorList {
	if len(params) > maxParameters {
		return field.ErrorList{field.TooLong(path, "", maxParameters)}
	}
	var errs field.ErrorList
	size := 0
	for k, v := range params {
		if k == "" {
			errs = append(errs, field.Invalid(path, k, "field can not be empty."))
		}
		size += len(k) + len(v)
	}
	if size > maxParametersBytes {
		errs = append(errs, field.TooLong(path, "", maxParametersBytes))
	}
	return errs
}

func topologies(path *field.Path, terms []corev1.TopologySelectorTerm) field.ErrorList {
	var errs field.ErrorList
	// Upstream compares each term also with as many empty terms as there are terms,
	// so that an empty term is a duplicate even if it is alone.
	seen := make([]map[string]sets.Set[string], len(terms))
	for i, term := range terms {
		at := path.Index(i).Child("matchLabelExpressions")
		values := map[string]sets.Set[string]{}
		for j, e := range term.MatchLabelExpressions {
			errs = append(errs, topologyValues(at.Index(j), &e)...)
			if _, ok := values[e.Key]; ok {
				errs = append(errs, field.Duplicate(at.Index(j).Child("key"), e.Key))
			}
			values[e.Key] = sets.New(e.Values...)
		}
		for _, other := range seen {
			if equality.Semantic.DeepEqual(values, other) {
				errs = append(errs, field.Duplicate(at, ""))
			}
		}
		seen = append(seen, values)
	}
	return errs
}

func topologyValues(path *field.Path, e *corev1.TopologySelectorLabelRequirement) field.ErrorList {
	var errs field.ErrorList
	if len(e.Values) == 0 {
		errs = append(errs, field.Required(path.Child("values"), ""))
	}
	seen := sets.New[string]()
	for i, v := range e.Values {
		if seen.Has(v) {
			errs = append(errs, field.Duplicate(path.Child("values").Index(i), v))
		}
		seen.Insert(v)
	}
	return append(errs, metav1validation.ValidateLabelName(e.Key, path.Child("key"))...)
}

// ValidateVolumeAttachment validates a new VolumeAttachment.
func ValidateVolumeAttachment(a *storagev1.VolumeAttachment) field.ErrorList {
	return append(volumeAttachment(a), declaredAttacher(a.Spec.Attacher)...)
}

// declaredAttacher is declared beside upstream's types: it comes after all other errors.
func declaredAttacher(name string) field.ErrorList {
	path := specPath.Child("attacher")
	if name == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	errs := check.Invalid(path, name, content.IsDNS1123SubdomainCaseless(name))
	if utf8.RuneCountInString(name) > maxDriverName {
		errs = append(errs, field.TooLongCharacters(path, name, maxDriverName))
	}
	return errs
}

func volumeAttachment(a *storagev1.VolumeAttachment) field.ErrorList {
	errs := validateMeta(&a.ObjectMeta, false)
	errs = append(errs, attachmentSource(specPath.Child("source"), &a.Spec.Source)...)
	errs = append(errs, check.Invalid(specPath.Child("nodeName"), a.Spec.NodeName, validation.NameIsDNSSubdomain(a.Spec.NodeName, false))...)
	status, size := field.NewPath("status"), 0
	for k, v := range a.Status.AttachmentMetadata {
		size += len(k) + len(v)
	}
	if size > maxAttachmentBytes {
		errs = append(errs, field.TooLong(status.Child("attachmentMetadata"), "", maxAttachmentBytes))
	}
	errs = append(errs, volumeError(status.Child("attachError"), a.Status.AttachError)...)
	errs = append(errs, volumeError(status.Child("detachError"), a.Status.DetachError)...)
	if n := a.Spec.Source.PersistentVolumeName; n != nil {
		errs = append(errs, check.Invalid(field.NewPath("spec.source.persistentVolumeName"), *n, validation.NameIsDNSSubdomain(*n, false))...)
	}
	return errs
}

// ValidateVolumeAttachmentUpdate validates a changed VolumeAttachment: its spec
// never changes.
func ValidateVolumeAttachmentUpdate(a, old *storagev1.VolumeAttachment) field.ErrorList {
	errs := append(volumeAttachment(a), driverName(specPath.Child("attacher"), a.Spec.Attacher)...)
	return append(errs, declaredImmutable(specPath, a.Spec, old.Spec)...)
}

func attachmentSource(path *field.Path, s *storagev1.VolumeAttachmentSource) field.ErrorList {
	const one = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
	switch {
	case s.InlineVolumeSpec == nil && s.PersistentVolumeName == nil:
		return field.ErrorList{field.Required(path, one)}
	case s.InlineVolumeSpec != nil && s.PersistentVolumeName != nil:
		return field.ErrorList{field.Forbidden(path, one)}
	case s.InlineVolumeSpec != nil:
		return volume.ValidateInlinePersistentVolumeSpec(s.InlineVolumeSpec, path.Child("inlineVolumeSpec"))
	case *s.PersistentVolumeName == "":
		return field.ErrorList{field.Required(path.Child("persistentVolumeName"), "must specify non empty persistentVolumeName")}
	}
	return nil
}

func volumeError(path *field.Path, e *storagev1.VolumeError) field.ErrorList {
	if e == nil {
		return nil
	}
	var errs field.ErrorList
	if len(e.Message) > maxErrorMessageBytes {
		errs = append(errs, field.TooLong(path.Child("message"), "", maxErrorMessageBytes))
	}
	if c := e.ErrorCode; c != nil && *c < 0 {
		errs = append(errs, field.Invalid(path.Child("errorCode"), *c, utilvalidation.InclusiveRangeError(0, math.MaxInt32)))
	}
	return errs
}

// ValidateVolumeAttributesClass validates a new VolumeAttributesClass.
func ValidateVolumeAttributesClass(c *storagev1.VolumeAttributesClass) field.ErrorList {
	errs := append(validateMeta(&c.ObjectMeta, false), check.Required(field.NewPath("driverName"), c.DriverName)...)
	errs = append(errs, provisioner(field.NewPath("driverName"), c.DriverName)...)
	path := field.NewPath("parameters")
	errs = append(errs, parameters(path, c.Parameters)...)
	if len(c.Parameters) == 0 {
		errs = append(errs, field.Required(path, "must contain at least one key/value pair"))
	}
	return errs
}

// ValidateVolumeAttributesClassUpdate validates a changed
// VolumeAttributesClass: only metadata may change.
func ValidateVolumeAttributesClassUpdate(c, old *storagev1.VolumeAttributesClass) field.ErrorList {
	errs := validateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta)
	if c.DriverName != old.DriverName {
		errs = append(errs, field.Forbidden(field.NewPath("driverName"), "updates to driverName are forbidden."))
	}
	if !equality.Semantic.DeepEqual(c.Parameters, old.Parameters) {
		errs = append(errs, field.Forbidden(field.NewPath("parameters"), "updates to parameters are forbidden."))
	}
	return append(errs, ValidateVolumeAttributesClass(c)...)
}
