package resource

import (
	"context"
	"maps"
	"slices"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/operation"
	"k8s.io/apimachinery/pkg/api/validate"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Upstream writes much of this group's validation as tags beside the types of the
// version. The errors that the tags cause come after all others, in the order of
// the fields. The functions of this file, named declared…, are those tags.

// rule is a function of apimachinery that a tag calls.
type rule[V any] func(context.Context, operation.Operation, *field.Path, V, V) field.ErrorList

func declared[V any](r rule[V], value V, path *field.Path) field.ErrorList {
	return r(context.Background(), operation.Operation{}, path, value, value)
}

// declaredName validates a name that must not be empty.
func declaredName(name string, path *field.Path, rules ...rule[*string]) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	var errs field.ErrorList
	for _, r := range rules {
		errs = append(errs, declared(r, &name, path)...)
	}
	return errs
}

func declaredDriver(name string, path *field.Path) field.ErrorList {
	return declaredName(name, path, validate.LongNameCaseless[string], func(ctx context.Context, op operation.Operation, path *field.Path, value, old *string) field.ErrorList {
		return validate.MaxLength(ctx, op, path, value, old, resourcev1.DriverNameMaxLength)
	})
}

func declaredMax[T any](items []T, max int, path *field.Path) field.ErrorList {
	return validate.MaxItems(context.Background(), operation.Operation{}, path, items, nil, max)
}

func declaredBytes(text string, max int, path *field.Path) field.ErrorList {
	return validate.MaxBytes(context.Background(), operation.Operation{}, path, &text, nil, max)
}

func declaredEnum[T ~string](value T, path *field.Path, values ...T) field.ErrorList {
	return validate.Enum(context.Background(), operation.Operation{}, path, &value, nil, sets.New(values...), nil)
}

// declaredList validates that a list is not longer than max, and then each item; -1 is no bound.
func declaredList[T any](items []T, max int, path *field.Path, item func(*T, *field.Path) field.ErrorList) field.ErrorList {
	return declaredSet(items, max, path, nil, item)
}

// declaredSet is declaredList for lists of which no two items may be the same.
func declaredSet[T any](items []T, max int, path *field.Path, same validate.MatchFunc[*T], item func(*T, *field.Path) field.ErrorList) field.ErrorList {
	if max >= 0 {
		if errs := declaredMax(items, max, path); len(errs) > 0 {
			return errs
		}
	}
	var errs field.ErrorList
	if same != nil {
		errs = validate.ValSliceUnique(context.Background(), operation.Operation{}, path, items, nil, same)
	}
	if item == nil {
		return errs
	}
	return append(errs, each(items, -1, path, item)...)
}

// declaredRefs validates names of requests.
func declaredRefs(refs []string, path *field.Path) field.ErrorList {
	return declaredSet(refs, resourcev1.DeviceRequestsMaxSize, path.Child("requests"), validate.DirectEqual[string], nil)
}

func declaredConfiguration(c *resourcev1.DeviceConfiguration, path *field.Path) field.ErrorList {
	if c.Opaque == nil {
		return nil
	}
	return declaredDriver(c.Opaque.Driver, path.Child("opaque", "driver"))
}

func declaredEffect(effect resourcev1.DeviceTaintEffect, path *field.Path) field.ErrorList {
	return declaredEnum(effect, path, resourcev1.DeviceTaintEffectNoExecute, resourcev1.DeviceTaintEffectNoSchedule, resourcev1.DeviceTaintEffectNone)
}

func declaredTaint(t *resourcev1.DeviceTaint, path *field.Path) field.ErrorList {
	if t.Effect == "" {
		return field.ErrorList{field.Required(path.Child("effect"), "")}
	}
	return declaredEffect(t.Effect, path.Child("effect"))
}

func declaredToleration(t *resourcev1.DeviceToleration, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if t.Key != "" {
		errs = append(errs, declared(validate.LabelKey[string], &t.Key, path.Child("key"))...)
	}
	if t.Operator == "" {
		errs = append(errs, field.Required(path.Child("operator"), ""))
	} else {
		errs = append(errs, declaredEnum(t.Operator, path.Child("operator"), resourcev1.DeviceTolerationOpEqual, resourcev1.DeviceTolerationOpExists)...)
	}
	if t.Effect != "" {
		errs = append(errs, declaredEffect(t.Effect, path.Child("effect"))...)
	}
	return errs
}

func declaredClaim(c *resourcev1.DeviceClaim, path *field.Path) field.ErrorList {
	same := func(a, b *resourcev1.DeviceRequest) bool { return a.Name == b.Name }
	errs := declaredSet(c.Requests, resourcev1.DeviceRequestsMaxSize, path.Child("requests"), same, declaredRequest)
	errs = append(errs, declaredList(c.Constraints, resourcev1.DeviceConstraintsMaxSize, path.Child("constraints"), func(d *resourcev1.DeviceConstraint, at *field.Path) field.ErrorList {
		errs := declaredRefs(d.Requests, at)
		errs = append(errs, declared(validate.ResourceFullyQualifiedName[resourcev1.FullyQualifiedName], d.MatchAttribute, at.Child("matchAttribute"))...)
		return append(errs, declared(validate.ResourceFullyQualifiedName[resourcev1.FullyQualifiedName], d.DistinctAttribute, at.Child("distinctAttribute"))...)
	})...)
	return append(errs, declaredList(c.Config, resourcev1.DeviceConfigMaxSize, path.Child("config"), func(d *resourcev1.DeviceClaimConfiguration, at *field.Path) field.ErrorList {
		return append(declaredRefs(d.Requests, at), declaredConfiguration(&d.DeviceConfiguration, at)...)
	})...)
}

func declaredRequest(r *resourcev1.DeviceRequest, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if e := r.Exactly; e != nil {
		errs = declaredWish(e.Selectors, e.AllocationMode, e.Tolerations, path.Child("exactly"))
	}
	same := func(a, b *resourcev1.DeviceSubRequest) bool { return a.Name == b.Name }
	return append(errs, declaredSet(r.FirstAvailable, resourcev1.FirstAvailableDeviceRequestMaxSize, path.Child("firstAvailable"), same, func(s *resourcev1.DeviceSubRequest, at *field.Path) field.ErrorList {
		errs := declaredName(s.DeviceClassName, at.Child("deviceClassName"), validate.LongName[string])
		return append(errs, declaredWish(s.Selectors, s.AllocationMode, s.Tolerations, at)...)
	})...)
}

func declaredWish(selectors []resourcev1.DeviceSelector, mode resourcev1.DeviceAllocationMode, tolerations []resourcev1.DeviceToleration, path *field.Path) field.ErrorList {
	errs := declaredMax(selectors, resourcev1.DeviceSelectorsMaxSize, path.Child("selectors"))
	if mode != "" {
		errs = append(errs, declaredEnum(mode, path.Child("allocationMode"), resourcev1.DeviceAllocationModeAll, resourcev1.DeviceAllocationModeExactCount)...)
	}
	return append(errs, declaredList(tolerations, -1, path.Child("tolerations"), declaredToleration)...)
}

// declaredClass validates a class; old is nil for a new one.
func declaredClass(c, old *resourcev1.DeviceClass) field.ErrorList {
	var errs field.ErrorList
	if c.Name != "" && old == nil {
		errs = declared(validate.LongName[string], &c.Name, metaPath.Child("name"))
	}
	if old != nil && equality.Semantic.DeepEqual(c.Spec, old.Spec) {
		return errs
	}
	errs = append(errs, declaredMax(c.Spec.Selectors, resourcev1.DeviceSelectorsMaxSize, specPath.Child("selectors"))...)
	errs = append(errs, declaredList(c.Spec.Config, resourcev1.DeviceConfigMaxSize, specPath.Child("config"), func(d *resourcev1.DeviceClassConfiguration, at *field.Path) field.ErrorList {
		return declaredConfiguration(&d.DeviceConfiguration, at)
	})...)
	return append(errs, declared(validate.ExtendedResourceName[string], c.Spec.ExtendedResourceName, specPath.Child("extendedResourceName"))...)
}

func declaredBinding(conditions, failures []string, path *field.Path) field.ErrorList {
	errs := declaredMax(conditions, resourcev1.BindingConditionsMaxSize, path.Child("bindingConditions"))
	return append(errs, declaredMax(failures, resourcev1.BindingFailureConditionsMaxSize, path.Child("bindingFailureConditions"))...)
}

// declaredStatus validates a claim's status, of which the allocation never changes.
func declaredStatus(s, old *resourcev1.ResourceClaimStatus, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch at := path.Child("allocation"); {
	case s.Allocation == nil || equality.Semantic.DeepEqual(s.Allocation, old.Allocation):
	case old.Allocation != nil:
		errs = field.ErrorList{field.Invalid(at, nil, "field cannot be modified once set")}
	default:
		errs = declaredAllocation(&s.Allocation.Devices, at.Child("devices"))
	}
	errs = append(errs, declaredSet(s.ReservedFor, resourcev1.ResourceClaimReservedForMaxSize, path.Child("reservedFor"),
		func(a, b *resourcev1.ResourceClaimConsumerReference) bool { return a.UID == b.UID }, nil)...)
	return append(errs, declaredSet(s.Devices, -1, path.Child("devices"),
		func(a, b *resourcev1.AllocatedDeviceStatus) bool {
			return statusID(a) == statusID(b) && (a.ShareID == nil) == (b.ShareID == nil)
		},
		func(d *resourcev1.AllocatedDeviceStatus, at *field.Path) field.ErrorList {
			return append(declared(validate.UUID[string], d.ShareID, at.Child("shareID")), declaredNetwork(d.NetworkData, at.Child("networkData"))...)
		})...)
}

func declaredNetwork(n *resourcev1.NetworkDeviceData, path *field.Path) field.ErrorList {
	if n == nil {
		return nil
	}
	errs := declaredBytes(n.InterfaceName, resourcev1.NetworkDeviceDataInterfaceNameMaxLength, path.Child("interfaceName"))
	errs = append(errs, declaredSet(n.IPs, resourcev1.NetworkDeviceDataMaxIPs, path.Child("ips"), validate.DirectEqual[string], nil)...)
	return append(errs, declaredBytes(n.HardwareAddress, resourcev1.NetworkDeviceDataHardwareAddressMaxLength, path.Child("hardwareAddress"))...)
}

func declaredAllocation(a *resourcev1.DeviceAllocationResult, path *field.Path) field.ErrorList {
	errs := declaredList(a.Results, resourcev1.AllocationResultsMaxSize, path.Child("results"), func(r *resourcev1.DeviceRequestAllocationResult, at *field.Path) field.ErrorList {
		errs := declaredDriver(r.Driver, at.Child("driver"))
		errs = append(errs, declaredName(r.Pool, at.Child("pool"), validate.ResourcePoolName[string])...)
		errs = append(errs, declaredList(r.Tolerations, -1, at.Child("tolerations"), declaredToleration)...)
		errs = append(errs, declaredBinding(r.BindingConditions, r.BindingFailureConditions, at)...)
		if r.ShareID != nil {
			id := string(*r.ShareID)
			errs = append(errs, declared(validate.UUID[string], &id, at.Child("shareID"))...)
		}
		return errs
	})
	return append(errs, declaredList(a.Config, 2*resourcev1.DeviceConfigMaxSize, path.Child("config"), func(c *resourcev1.DeviceAllocationConfiguration, at *field.Path) field.ErrorList {
		var errs field.ErrorList
		if c.Source == "" {
			errs = append(errs, field.Required(at.Child("source"), ""))
		} else {
			errs = append(errs, declaredEnum(c.Source, at.Child("source"), resourcev1.AllocationConfigSourceClaim, resourcev1.AllocationConfigSourceClass)...)
		}
		errs = append(errs, declaredRefs(c.Requests, at)...)
		return append(errs, declaredConfiguration(&c.DeviceConfiguration, at)...)
	})...)
}

// declaredSlice validates a slice; old is nil for a new one.
func declaredSlice(spec, old *resourcev1.ResourceSliceSpec) field.ErrorList {
	var errs field.ErrorList
	if old == nil || !equality.Semantic.DeepEqual(spec.Devices, old.Devices) {
		errs = declaredList(spec.Devices, -1, specPath.Child("devices"), declaredDevice)
	}
	if old != nil && equality.Semantic.DeepEqual(spec.SharedCounters, old.SharedCounters) {
		return errs
	}
	same := func(a, b *resourcev1.CounterSet) bool { return a.Name == b.Name }
	return append(errs, declaredSet(spec.SharedCounters, resourcev1.ResourceSliceMaxCounterSets, specPath.Child("sharedCounters"), same, func(c *resourcev1.CounterSet, at *field.Path) field.ErrorList {
		return append(declaredName(c.Name, at.Child("name"), validate.ShortName[string]), declaredCounters(c.Counters, at.Child("counters"))...)
	})...)
}

func declaredDevice(d *resourcev1.Device, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(d.Attributes)) {
		errs = append(errs, declaredAttribute(d.Attributes[name], path.Child("attributes").Key(string(name)))...)
	}
	same := func(a, b *resourcev1.DeviceCounterConsumption) bool { return a.CounterSet == b.CounterSet }
	errs = append(errs, declaredSet(d.ConsumesCounters, resourcev1.ResourceSliceMaxDeviceCounterConsumptionsPerDevice, path.Child("consumesCounters"), same, func(c *resourcev1.DeviceCounterConsumption, at *field.Path) field.ErrorList {
		return append(declaredName(c.CounterSet, at.Child("counterSet"), validate.ShortName[string]), declaredCounters(c.Counters, at.Child("counters"))...)
	})...)
	errs = append(errs, declaredList(d.Taints, -1, path.Child("taints"), declaredTaint)...)
	return append(errs, declaredBinding(d.BindingConditions, d.BindingFailureConditions, path)...)
}

func declaredCounters(counters map[string]resourcev1.Counter, path *field.Path) field.ErrorList {
	if len(counters) == 0 {
		return field.ErrorList{field.Required(path, "")}
	}
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		errs = append(errs, declared(validate.ShortName[string], &name, path)...)
	}
	return errs
}

// declaredAttribute validates that an attribute has one value.
func declaredAttribute(a resourcev1.DeviceAttribute, path *field.Path) field.ErrorList {
	type set = validate.ExtractorFn[resourcev1.DeviceAttribute, bool]
	return validate.Union(context.Background(), operation.Operation{}, path, a, resourcev1.DeviceAttribute{},
		validate.NewUnionMembership(
			validate.NewUnionMember("int"), validate.NewUnionMember("bool"), validate.NewUnionMember("string"), validate.NewUnionMember("version"),
			validate.NewUnionMember("ints"), validate.NewUnionMember("bools"), validate.NewUnionMember("strings"), validate.NewUnionMember("versions")),
		[]set{
			func(a resourcev1.DeviceAttribute) bool { return a.IntValue != nil },
			func(a resourcev1.DeviceAttribute) bool { return a.BoolValue != nil },
			func(a resourcev1.DeviceAttribute) bool { return a.StringValue != nil },
			func(a resourcev1.DeviceAttribute) bool { return a.VersionValue != nil },
			func(a resourcev1.DeviceAttribute) bool { return len(a.IntValues) > 0 },
			func(a resourcev1.DeviceAttribute) bool { return len(a.BoolValues) > 0 },
			func(a resourcev1.DeviceAttribute) bool { return len(a.StringValues) > 0 },
			func(a resourcev1.DeviceAttribute) bool { return len(a.VersionValues) > 0 },
		}...)
}
