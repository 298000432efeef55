package resource

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/core/validation/scheduling"
	"github.com/coracle-k8s/coracle/apis/hub"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// ValidateResourceSlice validates a new slice.
func ValidateResourceSlice(s *resourcev1.ResourceSlice) field.ErrorList {
	errs := validation.ValidateObjectMeta(&s.ObjectMeta, false, validation.NameIsDNSSubdomain, metaPath)
	errs = append(errs, validateSlice(&s.Spec, nil)...)
	return append(errs, declaredSlice(&s.Spec, nil)...)
}

// ValidateResourceSliceUpdate validates a changed slice, which stays with its
// driver, pool and node.
func ValidateResourceSliceUpdate(s, old *resourcev1.ResourceSlice) field.ErrorList {
	errs := validation.ValidateObjectMetaUpdate(&s.ObjectMeta, &old.ObjectMeta, metaPath)
	errs = append(errs, validateSlice(&s.Spec, &old.Spec)...)
	return append(errs, declaredSlice(&s.Spec, &old.Spec)...)
}

// ResourceSliceWarnings warns of a driver's name that is not in lower case.
func ResourceSliceWarnings(s *resourcev1.ResourceSlice) []string {
	if s.Spec.Driver == strings.ToLower(s.Spec.Driver) {
		return nil
	}
	return []string{fmt.Sprintf("spec.driver: driver names should be lowercase; %q contains uppercase characters", s.Spec.Driver)}
}

func validateSlice(spec, old *resourcev1.ResourceSliceSpec) field.ErrorList {
	errs := validateDriver(spec.Driver, specPath.Child("driver"))
	pool := specPath.Child("pool")
	errs = append(errs, validatePool(spec.Pool.Name, pool.Child("name"))...)
	if n := spec.Pool.ResourceSliceCount; n <= 0 {
		errs = append(errs, field.Invalid(pool.Child("resourceSliceCount"), n, "must be greater than zero"))
	}
	if n := spec.Pool.Generation; n < 0 {
		errs = append(errs, field.Invalid(pool.Child("generation"), n, "must be greater than or equal to zero"))
	}
	if old != nil {
		errs = append(errs, validation.ValidateImmutableField(spec.Pool.Name, old.Pool.Name, pool.Child("name"))...)
		errs = append(errs, validation.ValidateImmutableField(spec.Driver, old.Driver, specPath.Child("driver"))...)
		errs = append(errs, validation.ValidateImmutableField(spec.NodeName, old.NodeName, specPath.Child("nodeName"))...)
	}
	errs = append(errs, validateSliceNodes(spec)...)
	if spec.SharedCounters != nil && spec.Devices != nil {
		errs = append(errs, field.Invalid(specPath, "", "only one of `sharedCounters` or `devices` is allowed"))
	}
	errs = append(errs, set(spec.Devices, maxDevices(spec), specPath.Child("devices"), func(d *resourcev1.Device) string { return d.Name },
		func(d *resourcev1.Device, at *field.Path) field.ErrorList {
			return validateDevice(d, deviceOf(old, d.Name), spec, at)
		})...)
	return append(errs, upTo(spec.SharedCounters, resourcev1.ResourceSliceMaxCounterSets, specPath.Child("sharedCounters"),
		func(s *resourcev1.CounterSet, at *field.Path) field.ErrorList {
			return validateCounters(s.Counters, resourcev1.ResourceSliceMaxCountersPerCounterSet, at.Child("counters"))
		})...)
}

// maxDevices returns the bound of devices in a slice, which is lower where each
// device may be large.
func maxDevices(spec *resourcev1.ResourceSliceSpec) int {
	if slices.ContainsFunc(spec.Devices, func(d resourcev1.Device) bool {
		return len(d.Taints) > 0 || len(d.ConsumesCounters) > 0 || lists(&d)
	}) {
		return resourcev1.ResourceSliceMaxDevicesWithAdvancedFeatures
	}
	return resourcev1.ResourceSliceMaxDevices
}

func deviceOf(spec *resourcev1.ResourceSliceSpec, name string) *resourcev1.Device {
	if spec == nil {
		return nil
	}
	i := slices.IndexFunc(spec.Devices, func(d resourcev1.Device) bool { return d.Name == name })
	if i < 0 {
		return nil
	}
	return &spec.Devices[i]
}

// places holds the ways to name the nodes of devices; exactly one field must be set.
type places struct {
	node     *string
	selector *corev1.NodeSelector
	all      *bool
	oneTerm  bool // of the selector
}

// validate returns which are set; nodeless is the message for a node without a name.
func (p places) validate(nodeless string, path *field.Path) (set []string, errs field.ErrorList) {
	if p.node != nil && *p.node == "" {
		errs = append(errs, field.Invalid(path.Child("nodeName"), "", nodeless))
	} else if p.node != nil {
		set = append(set, "`nodeName`")
		errs = append(errs, check.Invalid(path.Child("nodeName"), *p.node, validation.NameIsDNSSubdomain(*p.node, false))...)
	}
	if p.selector != nil {
		set = append(set, "`nodeSelector`")
		errs = append(errs, scheduling.NodeSelector(path.Child("nodeSelector"), p.selector, false)...)
		if terms := p.selector.NodeSelectorTerms; p.oneTerm && len(terms) != 1 {
			errs = append(errs, field.Invalid(path.Child("nodeSelector", "nodeSelectorTerms"), hub.Internal(terms), "must have exactly one node selector term"))
		}
	}
	return flag(set, errs, p.all, "allNodes", path)
}

// flag validates a value that must be true or missing, and adds its name to set.
func flag(set []string, errs field.ErrorList, value *bool, name string, path *field.Path) ([]string, field.ErrorList) {
	switch {
	case value == nil:
	case *value:
		set = append(set, "`"+name+"`")
	default:
		errs = append(errs, field.Invalid(path.Child(name), false, "must be either unset or set to true"))
	}
	return set, errs
}

func validateSliceNodes(spec *resourcev1.ResourceSliceSpec) field.ErrorList {
	// Selectors of several slices are merged, which is easy for single terms.
	set, errs := places{spec.NodeName, spec.NodeSelector, spec.AllNodes, true}.validate("must be either unset or set to a non-empty string", specPath)
	set, errs = flag(set, errs, spec.PerDeviceNodeSelection, "perDeviceNodeSelection", specPath)
	const one = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
	switch len(set) {
	case 0:
		return append(errs, field.Required(specPath, one))
	case 1:
		return errs
	}
	return append(errs, field.Invalid(specPath, "{"+strings.Join(set, ", ")+"}", one+", but multiple fields are set"))
}

func validateDevice(d, old *resourcev1.Device, spec *resourcev1.ResourceSliceSpec, path *field.Path) field.ErrorList {
	errs := label(d.Name, path.Child("name"))
	if n := len(d.Attributes) + len(d.Capacity); n > resourcev1.ResourceSliceMaxAttributesAndCapacitiesPerDevice {
		errs = append(errs, field.Invalid(path, n, fmt.Sprintf("the total number of attributes and capacities must not exceed %d", resourcev1.ResourceSliceMaxAttributesAndCapacitiesPerDevice)))
	}
	if n := attributeValues(d); n > resourcev1.ResourceSliceMaxAttributeValuesPerDevice {
		errs = append(errs, field.Invalid(path, n, fmt.Sprintf("the total number of attribute values must not exceed %d", resourcev1.ResourceSliceMaxAttributeValuesPerDevice)))
	}
	for _, name := range slices.Sorted(maps.Keys(d.Attributes)) {
		at := path.Child("attributes")
		errs = append(errs, validateName(string(name), at)...)
		errs = append(errs, validateAttribute(d.Attributes[name], at.Key(shorten(string(name))))...)
	}
	if old == nil || !equality.Semantic.DeepEqual(old.Capacity, d.Capacity) {
		for _, name := range slices.Sorted(maps.Keys(d.Capacity)) {
			at, capacity := path.Child("capacity"), d.Capacity[name]
			errs = append(errs, validateName(string(name), at)...)
			errs = append(errs, validateCapacity(&capacity, ptr.Deref(d.AllowMultipleAllocations, false), at.Key(shorten(string(name))))...)
		}
	}
	if old == nil || !equality.Semantic.DeepEqual(old.Taints, d.Taints) {
		errs = append(errs, each(d.Taints, resourcev1.DeviceTaintsMaxLength, path.Child("taints"), validateTaint)...)
	}
	errs = append(errs, upTo(d.ConsumesCounters, resourcev1.ResourceSliceMaxDeviceCounterConsumptionsPerDevice, path.Child("consumesCounters"),
		func(c *resourcev1.DeviceCounterConsumption, at *field.Path) field.ErrorList {
			return validateCounters(c.Counters, resourcev1.ResourceSliceMaxCountersPerDeviceCounterConsumption, at.Child("counters"))
		})...)
	errs = append(errs, validateDeviceNodes(d, ptr.Deref(spec.PerDeviceNodeSelection, false), path)...)
	return append(errs, validateBinding(d.BindingConditions, d.BindingFailureConditions, path)...)
}

func validateDeviceNodes(d *resourcev1.Device, perDevice bool, path *field.Path) field.ErrorList {
	if !perDevice {
		if d.NodeName == nil && d.NodeSelector == nil && d.AllNodes == nil {
			return nil
		}
		return field.ErrorList{field.Invalid(path, nil, "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec")}
	}
	set, errs := places{d.NodeName, d.NodeSelector, d.AllNodes, false}.validate("must not be empty", path)
	const one = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec"
	switch len(set) {
	case 0:
		return append(errs, field.Required(path, one))
	case 1:
		return errs
	}
	return append(errs, field.Invalid(path, "{"+strings.Join(set, ", ")+"}", one))
}

// attributeValues counts the values of a device's attributes.
func attributeValues(d *resourcev1.Device) int {
	n := 0
	for _, a := range d.Attributes {
		n += max(1, len(a.BoolValues)+len(a.IntValues)+len(a.StringValues)+len(a.VersionValues))
	}
	return n
}

func validateCounters(counters map[string]resourcev1.Counter, max int, path *field.Path) field.ErrorList {
	if len(counters) > max {
		return field.ErrorList{field.TooMany(path, len(counters), max)}
	}
	return nil
}

// shorten keeps a name that is too long from filling the message.
func shorten(name string) string {
	const longest, dots = resourcev1.DeviceMaxDomainLength + 1 + resourcev1.DeviceMaxIDLength, "..."
	if len(name) <= longest {
		return name
	}
	const rest = longest - len(dots)
	return name[:(rest+1)/2] + dots + name[len(name)-rest/2:]
}

// semver is https://semver.org, version 2.0.0.
var semver = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)` +
	`(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?` +
	`(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$`)

// validateAttribute wants exactly one value. Lists are dropped before, unless they
// are as stored.
func validateAttribute(a resourcev1.DeviceAttribute, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s := a.StringValue; s != nil && len(*s) > resourcev1.DeviceAttributeMaxValueLength {
		errs = append(errs, field.TooLong(path.Child("string"), "", resourcev1.DeviceAttributeMaxValueLength))
	}
	if v := a.VersionValue; v != nil {
		if !semver.MatchString(*v) {
			errs = append(errs, field.Invalid(path.Child("version"), *v, "must be a string compatible with semver.org spec 2.0.0"))
		}
		if len(*v) > resourcev1.DeviceAttributeMaxValueLength {
			errs = append(errs, field.TooLong(path.Child("version"), "", resourcev1.DeviceAttributeMaxValueLength))
		}
	}
	return errs
}
