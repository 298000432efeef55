package storage

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	corewarnings "github.com/coracle-k8s/coracle/apis/core/warnings"
	"github.com/coracle-k8s/coracle/apis/hub"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// Limits of the fields that CSI drivers set.
const (
	maxDriverName         = 63
	maxNodeID             = 256
	minTokenSeconds       = int64(10 * time.Minute / time.Second)
	maxTokenSeconds       = 1 << 32
	minAllocatableSeconds = 10
)

const tokenInSecretsRecommended = "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes"

func driverName(path *field.Path, name string) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	var errs field.ErrorList
	if len(name) > maxDriverName {
		errs = append(errs, field.TooLong(path, "", maxDriverName))
	}
	return append(errs, check.Invalid(path, name, utilvalidation.IsDNS1123Subdomain(strings.ToLower(name)))...)
}

// ValidateCSINode validates a new CSINode.
func ValidateCSINode(n *storagev1.CSINode) field.ErrorList {
	errs := validateMeta(&n.ObjectMeta, false)
	seen := sets.New[string]()
	for i := range n.Spec.Drivers {
		d, at := &n.Spec.Drivers[i], specPath.Child("drivers").Index(i)
		errs = append(errs, nodeDriver(at, d)...)
		if seen.Has(d.Name) {
			errs = append(errs, field.Duplicate(at.Child("name"), d.Name))
		}
		seen.Insert(d.Name)
	}
	return errs
}

func nodeDriver(path *field.Path, d *storagev1.CSINodeDriver) field.ErrorList {
	errs := driverName(path.Child("name"), d.Name)
	id := path.Child("nodeID")
	if d.NodeID == "" {
		errs = append(errs, field.Required(id, ""))
	}
	if len(d.NodeID) > maxNodeID {
		errs = append(errs, field.Invalid(id, d.NodeID, fmt.Sprintf("must be %d characters or less", maxNodeID)))
	}
	if a := d.Allocatable; a != nil && a.Count != nil {
		errs = append(errs, validation.ValidateNonnegativeField(int64(*a.Count), path.Child("allocatable", "count"))...)
	}
	seen := sets.New[string]()
	for _, key := range d.TopologyKeys {
		if key == "" {
			errs = append(errs, field.Required(path, key))
		}
		if seen.Has(key) {
			errs = append(errs, field.Duplicate(path, key))
		}
		seen.Insert(key)
		errs = append(errs, check.Invalid(path, key, utilvalidation.IsQualifiedName(key))...)
	}
	return errs
}

// ValidateCSINodeUpdate validates a changed CSINode: of a driver that stays
// only the number of volumes may change.
func ValidateCSINodeUpdate(n, old *storagev1.CSINode) field.ErrorList {
	errs := ValidateCSINode(n)
	for i := range old.Spec.Drivers {
		for j := range n.Spec.Drivers {
			was, now := old.Spec.Drivers[i], n.Spec.Drivers[j]
			if was.Name == now.Name {
				was.Allocatable, now.Allocatable = nil, nil
				if !equality.Semantic.DeepEqual(now, was) {
					errs = append(errs, field.Invalid(specPath.Child("drivers"), hub.Internal(now), validation.FieldImmutableErrorMsg))
				}
			}
		}
	}
	return errs
}

// ValidateCSIDriver validates a new CSIDriver.
func ValidateCSIDriver(d *storagev1.CSIDriver) field.ErrorList {
	return append(validateMeta(&d.ObjectMeta, false), driverSpec(&d.Spec)...)
}

// ValidateCSIDriverUpdate validates a changed CSIDriver.
func ValidateCSIDriverUpdate(d, old *storagev1.CSIDriver) field.ErrorList {
	errs := append(validateMetaUpdate(&d.ObjectMeta, &old.ObjectMeta), driverSpec(&d.Spec)...)
	errs = append(errs, check.Unchanged(specPath.Child("attachedRequired"), d.Spec.AttachRequired, old.Spec.AttachRequired)...)
	return append(errs, check.Unchanged(specPath.Child("volumeLifecycleModes"), d.Spec.VolumeLifecycleModes, old.Spec.VolumeLifecycleModes)...)
}

func driverSpec(s *storagev1.CSIDriverSpec) field.ErrorList {
	var errs field.ErrorList
	required := func(name string, value *bool) {
		if value == nil {
			errs = append(errs, field.Required(specPath.Child(name), ""))
		}
	}
	required("attachedRequired", s.AttachRequired) // so upstream calls the field
	required("podInfoOnMount", s.PodInfoOnMount)
	required("storageCapacity", s.StorageCapacity)
	errs = append(errs, check.OptionalOneOf(specPath.Child("fsGroupPolicy"), s.FSGroupPolicy, storagev1.FileFSGroupPolicy, storagev1.NoneFSGroupPolicy, storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy)...)
	errs = append(errs, tokenRequests(specPath.Child("tokenRequests"), s.TokenRequests)...)
	for _, mode := range s.VolumeLifecycleModes {
		errs = append(errs, check.OptionalOneOf(specPath.Child("volumeLifecycleModes"), &mode, storagev1.VolumeLifecyclePersistent, storagev1.VolumeLifecycleEphemeral)...)
	}
	required("seLinuxMount", s.SELinuxMount)
	if p := s.NodeAllocatableUpdatePeriodSeconds; p != nil && *p < minAllocatableSeconds {
		errs = append(errs, field.Invalid(specPath.Child("nodeAllocatableUpdatePeriodSeconds"), *p, "must be greater than or equal to 10 seconds"))
	}
	if in := s.ServiceAccountTokenInSecrets; in != nil && len(s.TokenRequests) == 0 {
		errs = append(errs, field.Invalid(specPath.Child("serviceAccountTokenInSecrets"), in, "serviceAccountTokenInSecrets is set but no tokenRequests are specified"))
	}
	required("preventPodSchedulingIfMissing", s.PreventPodSchedulingIfMissing)
	return errs
}

func tokenRequests(path *field.Path, list []storagev1.TokenRequest) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[string]()
	for i, r := range list {
		at := path.Index(i)
		if seen.Has(r.Audience) {
			errs = append(errs, field.Duplicate(at.Child("audience"), r.Audience))
			continue
		}
		seen.Insert(r.Audience)
		if s := r.ExpirationSeconds; s != nil && *s < minTokenSeconds {
			errs = append(errs, field.Invalid(at.Child("expirationSeconds"), *s, "may not specify a duration less than 10 minutes"))
		} else if s != nil && *s > maxTokenSeconds {
			errs = append(errs, field.Invalid(at.Child("expirationSeconds"), *s, "may not specify a duration larger than 2^32 seconds"))
		}
	}
	return errs
}

// CSIDriverWarnings recommends a safer place for tokens; old is nil at creation.
func CSIDriverWarnings(d, old *storagev1.CSIDriver) []string {
	if len(d.Spec.TokenRequests) == 0 || d.Spec.ServiceAccountTokenInSecrets != nil {
		return nil
	}
	if old != nil && equality.Semantic.DeepEqual(d.Spec.TokenRequests, old.Spec.TokenRequests) {
		return nil
	}
	return []string{tokenInSecretsRecommended}
}

// ValidateCSIStorageCapacity validates a new CSIStorageCapacity.
func ValidateCSIStorageCapacity(c *storagev1.CSIStorageCapacity) field.ErrorList {
	return capacity(c, metav1validation.LabelSelectorValidationOptions{})
}

// ValidateCSIStorageCapacityUpdate validates a changed CSIStorageCapacity: what
// was asked for stays, what there is may change.
func ValidateCSIStorageCapacityUpdate(c, old *storagev1.CSIStorageCapacity) field.ErrorList {
	var opts metav1validation.LabelSelectorValidationOptions
	opts.AllowInvalidLabelValueInSelector = len(metav1validation.ValidateLabelSelector(old.NodeTopology, opts, nil)) > 0
	errs := append(capacity(c, opts), validateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta)...)
	if !equality.Semantic.DeepEqual(c.NodeTopology, old.NodeTopology) {
		errs = append(errs, field.Invalid(field.NewPath("nodeTopology"), c.NodeTopology, validation.FieldImmutableErrorMsg))
	}
	if c.StorageClassName != old.StorageClassName {
		errs = append(errs, field.Invalid(field.NewPath("storageClassName"), c.StorageClassName, validation.FieldImmutableErrorMsg))
	}
	return errs
}

func capacity(c *storagev1.CSIStorageCapacity, opts metav1validation.LabelSelectorValidationOptions) field.ErrorList {
	errs := append(validateMeta(&c.ObjectMeta, true), metav1validation.ValidateLabelSelector(c.NodeTopology, opts, field.NewPath("nodeTopology"))...)
	errs = append(errs, check.Invalid(field.NewPath("storageClassName"), c.StorageClassName, validation.NameIsDNSSubdomain(c.StorageClassName, false))...)
	if q := c.Capacity; q != nil && q.Sign() < 0 {
		errs = append(errs, field.Invalid(field.NewPath("capacity"), q.String(), validation.IsNegativeErrorMsg))
	}
	return errs
}

// CSIStorageCapacityWarnings returns a warning for each deprecated node label.
func CSIStorageCapacityWarnings(c *storagev1.CSIStorageCapacity) []string {
	return deprecatedLabels(c.NodeTopology, field.NewPath("nodeTopology"))
}

func deprecatedLabels(s *metav1.LabelSelector, path *field.Path) []string {
	if s == nil {
		return nil
	}
	var warnings []string
	for i, e := range s.MatchExpressions {
		if msg := corewarnings.DeprecatedNodeLabel(e.Key); msg != "" {
			warnings = append(warnings, fmt.Sprintf("%s: %s is %s", path.Child("matchExpressions").Index(i).Child("key"), e.Key, msg))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.MatchLabels)) {
		if msg := corewarnings.DeprecatedNodeLabel(key); msg != "" {
			warnings = append(warnings, fmt.Sprintf("%s: %s", path.Child("matchLabels").Child(key), msg))
		}
	}
	return warnings
}

// ValidateCSINodeStatusUpdate validates a change through the status subresource.
// The only field of a status is behind an alpha feature, so it never changes.
func ValidateCSINodeStatusUpdate(n, old *storagev1.CSINode) field.ErrorList {
	return validateMetaUpdate(&n.ObjectMeta, &old.ObjectMeta)
}
