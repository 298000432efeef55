package resource

import (
	"slices"

	resourcev1 "k8s.io/api/resource/v1"
)

// DropClaim removes fields of alpha features from a claim, unless it had some of
// the same feature before; old is nil for a new one.
func DropClaim(spec, old *resourcev1.ResourceClaimSpec) {
	if old != nil && derives(old) {
		return
	}
	for i := range spec.Devices.Requests {
		r := &spec.Devices.Requests[i]
		if r.Exactly != nil {
			r.Exactly.DerivedAttributes = nil
		}
		for j := range r.FirstAvailable {
			r.FirstAvailable[j].DerivedAttributes = nil
		}
	}
}

func derives(spec *resourcev1.ResourceClaimSpec) bool {
	return slices.ContainsFunc(spec.Devices.Requests, func(r resourcev1.DeviceRequest) bool {
		return r.Exactly != nil && len(r.Exactly.DerivedAttributes) > 0 ||
			slices.ContainsFunc(r.FirstAvailable, func(s resourcev1.DeviceSubRequest) bool { return len(s.DerivedAttributes) > 0 })
	})
}

// DropClaimStatus removes fields of alpha features from a claim's status, and the
// status of devices that the claim no longer has.
func DropClaimStatus(status, old *resourcev1.ResourceClaimStatus) {
	if status.Allocation != nil && old.Allocation == nil {
		for i := range status.Allocation.Devices.Results {
			status.Allocation.Devices.Results[i].SkipNodeOperations = nil
		}
	}
	was, is := allocated(old.Allocation), allocated(status.Allocation)
	status.Devices = slices.DeleteFunc(status.Devices, func(d resourcev1.AllocatedDeviceStatus) bool {
		id := statusID(&d)
		return was.Has(id) && !is.Has(id)
	})
	if len(status.Devices) == 0 {
		status.Devices = nil
	}
}

// DropSlice removes fields of alpha features from a slice, unless it had some of
// the same feature before; old is nil for a new one.
func DropSlice(spec, old *resourcev1.ResourceSliceSpec) {
	had := func(has func(*resourcev1.ResourceSliceSpec) bool) bool { return old != nil && has(old) }
	anyDevice := func(has func(*resourcev1.Device) bool) bool {
		return had(func(s *resourcev1.ResourceSliceSpec) bool {
			return slices.ContainsFunc(s.Devices, func(d resourcev1.Device) bool { return has(&d) })
		})
	}
	if !had(func(s *resourcev1.ResourceSliceSpec) bool { return s.PartitionTypeAttribute != nil }) {
		spec.PartitionTypeAttribute = nil
	}
	if !had(func(s *resourcev1.ResourceSliceSpec) bool { return len(s.SkipNodeOperations) > 0 }) {
		spec.SkipNodeOperations = nil
	}
	keepResources := anyDevice(func(d *resourcev1.Device) bool { return len(d.NodeAllocatableResources) > 0 })
	keepGroups := anyDevice(func(d *resourcev1.Device) bool {
		return slices.ContainsFunc(d.ConsumesCounters, func(c resourcev1.DeviceCounterConsumption) bool { return len(c.CompatibilityGroups) > 0 })
	})
	keepLists := anyDevice(lists)
	for i := range spec.Devices {
		d := &spec.Devices[i]
		if !keepResources {
			d.NodeAllocatableResources = nil
		}
		for j := range d.ConsumesCounters {
			if !keepGroups {
				d.ConsumesCounters[j].CompatibilityGroups = nil
			}
		}
		for name, a := range d.Attributes {
			if !keepLists {
				a.BoolValues, a.IntValues, a.StringValues, a.VersionValues = nil, nil, nil, nil
				d.Attributes[name] = a
			}
		}
	}
}

// lists reports whether an attribute of the device is a list.
func lists(d *resourcev1.Device) bool {
	for _, a := range d.Attributes {
		if a.BoolValues != nil || a.IntValues != nil || a.StringValues != nil || a.VersionValues != nil {
			return true
		}
	}
	return false
}
