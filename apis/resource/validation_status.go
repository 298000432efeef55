package resource

import (
	"slices"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// device identifies a device, or the share of one. Errors show it.
type device struct{ Driver, Pool, Device, ShareID string }

func statusID(d *resourcev1.AllocatedDeviceStatus) device {
	return device{d.Driver, d.Pool, d.Device, ptr.Deref(d.ShareID, "")}
}

func allocated(a *resourcev1.AllocationResult) sets.Set[device] {
	ids := sets.New[device]()
	if a != nil {
		for _, r := range a.Devices.Results {
			ids.Insert(device{r.Driver, r.Pool, r.Device, string(ptr.Deref(r.ShareID, ""))})
		}
	}
	return ids
}

// ValidateResourceClaimStatusUpdate validates what schedulers and drivers write:
// an allocation comes and goes whole, and is in use only while it is there.
func ValidateResourceClaimStatusUpdate(c, old *resourcev1.ResourceClaim) field.ErrorList {
	errs := validation.ValidateObjectMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, metaPath)
	path, s := field.NewPath("status"), &c.Status
	reserved := path.Child("reservedFor")
	errs = append(errs, upTo(s.ReservedFor, resourcev1.ResourceClaimReservedForMaxSize, reserved, validateConsumer)...)
	ids := allocated(s.Allocation)
	errs = append(errs, each(s.Devices, -1, path.Child("devices"), func(d *resourcev1.AllocatedDeviceStatus, at *field.Path) field.ErrorList {
		return validateDeviceStatus(d, ids, at)
	})...)
	errs = append(errs, sharedTwice(s.Devices, path.Child("devices"))...)
	switch {
	case len(s.ReservedFor) == 0:
	case s.Allocation == nil:
		errs = append(errs, field.Forbidden(reserved, "may not be specified when `allocated` is not set"))
	case c.DeletionTimestamp != nil && slices.ContainsFunc(s.ReservedFor, func(r resourcev1.ResourceClaimConsumerReference) bool {
		return !slices.Contains(old.Status.ReservedFor, r)
	}):
		errs = append(errs, field.Forbidden(reserved, "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"))
	}
	if s.Allocation != nil && old.Status.Allocation == nil {
		errs = append(errs, validateAllocation(s.Allocation, requestsOf(&c.Spec.Devices), path.Child("allocation"))...)
	}
	return append(errs, declaredStatus(s, &old.Status, path)...)
}

// sharedTwice finds devices that differ by an empty share and none at all, which the
// set of devices (declaredStatus) holds for two.
func sharedTwice(devices []resourcev1.AllocatedDeviceStatus, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[device]bool{} // by whether a share was given
	for i := range devices {
		id, given := statusID(&devices[i]), devices[i].ShareID != nil
		if other, ok := seen[id]; ok && other != given {
			errs = append(errs, field.Duplicate(path.Index(i), id))
		}
		seen[id] = given
	}
	return errs
}

func validateConsumer(r *resourcev1.ResourceClaimConsumerReference, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, f := range []struct{ name, value string }{{"resource", r.Resource}, {"name", r.Name}, {"uid", string(r.UID)}} {
		if f.value == "" {
			errs = append(errs, field.Required(path.Child(f.name), ""))
		}
	}
	return errs
}

func validateDeviceStatus(d *resourcev1.AllocatedDeviceStatus, ids sets.Set[device], path *field.Path) field.ErrorList {
	errs := validateDriver(d.Driver, path.Child("driver"))
	errs = append(errs, validatePool(d.Pool, path.Child("pool"))...)
	errs = append(errs, label(d.Device, path.Child("device"))...)
	if id := statusID(d); !ids.Has(id) {
		errs = append(errs, field.Invalid(path, id, "must be an allocated device in the claim"))
	}
	at := path.Child("conditions")
	if n := len(d.Conditions); n > resourcev1.AllocatedDeviceStatusMaxConditions {
		errs = append(errs, field.TooMany(at, n, resourcev1.AllocatedDeviceStatusMaxConditions))
	}
	errs = append(errs, metav1validation.ValidateConditions(d.Conditions, at)...)
	if d.Data != nil && len(d.Data.Raw) > 0 {
		errs = append(errs, validateJSON(*d.Data, resourcev1.AllocatedDeviceStatusDataMaxLength, false, path.Child("data"))...)
	}
	return append(errs, validateNetwork(d.NetworkData, path.Child("networkData"))...)
}

func validateNetwork(n *resourcev1.NetworkDeviceData, path *field.Path) field.ErrorList {
	if n == nil {
		return nil
	}
	return upTo(n.IPs, resourcev1.NetworkDeviceDataMaxIPs, path.Child("ips"), func(ip *string, at *field.Path) field.ErrorList {
		return utilvalidation.IsValidInterfaceAddress(at, *ip)
	})
}

// ValidateDeviceTaintRule validates a new rule.
func ValidateDeviceTaintRule(r *resourcev1.DeviceTaintRule) field.ErrorList {
	errs := validation.ValidateObjectMeta(&r.ObjectMeta, false, validation.NameIsDNSSubdomain, metaPath)
	errs = append(errs, validateTaintRule(r)...)
	return append(errs, declaredTaint(&r.Spec.Taint, specPath.Child("taint"))...)
}

// ValidateDeviceTaintRuleUpdate validates a changed rule.
func ValidateDeviceTaintRuleUpdate(r, old *resourcev1.DeviceTaintRule) field.ErrorList {
	errs := validation.ValidateObjectMetaUpdate(&r.ObjectMeta, &old.ObjectMeta, metaPath)
	errs = append(errs, validateTaintRule(r)...)
	if r.Spec.Taint.Effect == old.Spec.Taint.Effect {
		return errs // the stored effect may be one that this version no longer supports
	}
	return append(errs, declaredTaint(&r.Spec.Taint, specPath.Child("taint"))...)
}

func validateTaintRule(r *resourcev1.DeviceTaintRule) field.ErrorList {
	var errs field.ErrorList
	if s, at := r.Spec.DeviceSelector, specPath.Child("deviceSelector"); s != nil {
		if s.Driver != nil {
			errs = append(errs, validateDriver(*s.Driver, at.Child("driver"))...)
		}
		if s.Pool != nil {
			errs = append(errs, validatePool(*s.Pool, at.Child("pool"))...)
		}
		if s.Device != nil {
			errs = append(errs, label(*s.Device, at.Child("device"))...)
		}
	}
	return append(errs, validateTaint(&r.Spec.Taint, specPath.Child("taint"))...)
}

// ValidateDeviceTaintRuleStatusUpdate validates the conditions of a rule.
func ValidateDeviceTaintRuleStatusUpdate(r, old *resourcev1.DeviceTaintRule) field.ErrorList {
	errs := validation.ValidateObjectMetaUpdate(&r.ObjectMeta, &old.ObjectMeta, metaPath)
	at := field.NewPath("status", "conditions")
	errs = append(errs, metav1validation.ValidateConditions(r.Status.Conditions, at)...)
	if n := len(r.Status.Conditions); n > resourcev1.DeviceTaintRuleStatusMaxConditions {
		errs = append(errs, field.TooMany(at, n, resourcev1.DeviceTaintRuleStatusMaxConditions))
	}
	return errs
}
