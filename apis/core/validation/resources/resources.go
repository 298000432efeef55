package resources

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/coracle-k8s/coracle/apis/extendedresource"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// IsHugePages reports whether name is memory in pages of a size other than the usual one.
func IsHugePages(name corev1.ResourceName) bool {
	return strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

// MayOvercommit reports whether the requests of a resource may be below its limits.
func MayOvercommit(name corev1.ResourceName) bool {
	return extendedresource.Native(name) && !IsHugePages(name)
}

func isContainerResource(name corev1.ResourceName) bool {
	switch name {
	case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
		return true
	}
	return IsHugePages(name)
}

// IsQuota reports whether a ResourceQuota may count name.
func IsQuota(name corev1.ResourceName) bool {
	switch name {
	case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage,
		corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceRequestsStorage, corev1.ResourceRequestsEphemeralStorage,
		corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory, corev1.ResourceLimitsEphemeralStorage,
		corev1.ResourcePods, corev1.ResourceQuotas, corev1.ResourceServices, corev1.ResourceReplicationControllers,
		corev1.ResourceSecrets, corev1.ResourcePersistentVolumeClaims, corev1.ResourceConfigMaps,
		corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers:
		return true
	}
	return IsHugePages(name) || strings.HasPrefix(string(name), corev1.ResourceRequestsHugePagesPrefix)
}

// isInteger reports whether fractions of name make no sense.
func isInteger(name corev1.ResourceName) bool {
	switch name {
	case corev1.ResourcePods, corev1.ResourceQuotas, corev1.ResourceServices, corev1.ResourceReplicationControllers,
		corev1.ResourceSecrets, corev1.ResourceConfigMaps, corev1.ResourcePersistentVolumeClaims,
		corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers:
		return true
	}
	return extendedresource.Is(name)
}

// Name validates the name of a resource.
func Name(fldPath *field.Path, name corev1.ResourceName) field.ErrorList {
	if msgs := validation.IsQualifiedName(string(name)); len(msgs) > 0 {
		return check.Invalid(fldPath, name, msgs)
	}
	if !strings.Contains(string(name), "/") && !isContainerResource(name) && !IsQuota(name) && name != corev1.ResourceStorage {
		return field.ErrorList{field.Invalid(fldPath, name, "must be a standard resource type or fully qualified")}
	}
	return nil
}

// ContainerName validates the name of what a container may request.
func ContainerName(fldPath *field.Path, name corev1.ResourceName) field.ErrorList {
	errs := Name(fldPath, name)
	switch {
	case !strings.Contains(string(name), "/"):
		if !isContainerResource(name) {
			errs = append(errs, field.Invalid(fldPath, name, "must be a standard resource for containers"))
		}
	case !extendedresource.Native(name) && !extendedresource.Is(name):
		errs = append(errs, field.Invalid(fldPath, name, "doesn't follow extended resource name standard"))
	}
	return errs
}

// PodName validates what a pod as a whole may request.
func PodName(fldPath *field.Path, name corev1.ResourceName) field.ErrorList {
	if errs := Name(fldPath, name); len(errs) > 0 {
		return errs
	}
	if !resourcehelper.IsSupportedPodLevelResource(name) {
		return field.ErrorList{field.NotSupported(fldPath, name, sets.List(resourcehelper.SupportedPodLevelResources()))}
	}
	return nil
}

// QuotaName validates the name of what a quota may limit.
func QuotaName(fldPath *field.Path, name corev1.ResourceName) field.ErrorList {
	errs := Name(fldPath, name)
	if !strings.Contains(string(name), "/") && !IsQuota(name) {
		errs = append(errs, field.Invalid(fldPath, name, "must be a standard resource for quota"))
	}
	return errs
}

// BasicQuantity validates an amount as whole numbers see it.
func BasicQuantity(fldPath *field.Path, q resource.Quantity) field.ErrorList {
	if q.Value() < 0 {
		return field.ErrorList{field.Invalid(fldPath, q.Value(), "must be a valid resource quantity")}
	}
	return nil
}

func nonnegativeQuantity(fldPath *field.Path, q resource.Quantity) field.ErrorList {
	if q.Sign() < 0 {
		return field.ErrorList{field.Invalid(fldPath, q.String(), apivalidation.IsNegativeErrorMsg)}
	}
	return nil
}

// PositiveQuantity validates that q is above zero.
func PositiveQuantity(fldPath *field.Path, q resource.Quantity) field.ErrorList {
	if q.Sign() <= 0 {
		return field.ErrorList{field.Invalid(fldPath, q.String(), check.MustBePositive)}
	}
	return nil
}

// Amount validates an amount of a resource: not negative, and whole where parts make no
// sense.
func Amount(fldPath *field.Path, name corev1.ResourceName, q resource.Quantity) field.ErrorList {
	errs := nonnegativeQuantity(fldPath, q)
	if isInteger(name) && q.MilliValue()%1000 != 0 {
		errs = append(errs, field.Invalid(fldPath, q, "must be an integer"))
	}
	return errs
}

// Names returns the keys of list in order, so that errors are too.
func Names(list corev1.ResourceList) []corev1.ResourceName {
	return sets.List(sets.KeySet(list))
}

// Requirements validates resources, and their names by valid; claims are those of the pod.
// With indivisible, huge pages may be no whole number.
func Requirements(fldPath *field.Path, r *corev1.ResourceRequirements, valid func(*field.Path, corev1.ResourceName) field.ErrorList, claims sets.Set[string], indivisible bool) field.ErrorList {
	var errs field.ErrorList
	limits, requests := fldPath.Child("limits"), fldPath.Child("requests")
	hugePages, cpuOrMemory := false, false
	note := func(name corev1.ResourceName) {
		hugePages = hugePages || IsHugePages(name)
		cpuOrMemory = cpuOrMemory || name == corev1.ResourceCPU || name == corev1.ResourceMemory
	}
	for _, name := range Names(r.Limits) {
		at, q := limits.Key(string(name)), r.Limits[name]
		errs = append(errs, valid(at, name)...)
		errs = append(errs, Amount(at, name, q)...)
		errs = append(errs, WholePages(at, name, q, indivisible)...)
		note(name)
	}
	for _, name := range Names(r.Requests) {
		at, q := requests.Key(string(name)), r.Requests[name]
		errs = append(errs, valid(at, name)...)
		errs = append(errs, Amount(at, name, q)...)
		errs = append(errs, requestWithinLimit(fldPath, name, q, r.Limits)...)
		errs = append(errs, WholePages(at, name, q, indivisible)...)
		note(name)
	}
	if hugePages && !cpuOrMemory {
		errs = append(errs, field.Forbidden(fldPath, "HugePages require cpu or memory"))
	}
	return append(errs, claimNames(fldPath.Child("claims"), r.Claims, claims)...)
}

func requestWithinLimit(fldPath *field.Path, name corev1.ResourceName, q resource.Quantity, limits corev1.ResourceList) field.ErrorList {
	limit, ok := limits[name]
	at := fldPath.Child("requests")
	switch {
	case !ok && !MayOvercommit(name):
		return field.ErrorList{field.Required(fldPath.Child("limits"), "Limit must be set for non overcommitable resources")}
	case !ok:
	case !MayOvercommit(name) && q.Cmp(limit) != 0:
		return field.ErrorList{field.Invalid(at, q.String(), fmt.Sprintf("must be equal to %s limit of %s", name, limit.String()))}
	case q.Cmp(limit) > 0:
		return field.ErrorList{field.Invalid(at, q.String(), fmt.Sprintf("must be less than or equal to %s limit of %s", name, limit.String()))}
	}
	return nil
}

// WholePages validates that memory in huge pages comes in multiples of the page's size,
// unless indivisible lets any amount pass.
func WholePages(fldPath *field.Path, name corev1.ResourceName, q resource.Quantity, indivisible bool) field.ErrorList {
	if !IsHugePages(name) || indivisible {
		return nil
	}
	size, err := resource.ParseQuantity(strings.TrimPrefix(string(name), corev1.ResourceHugePagesPrefix))
	if err != nil || size.Sign() <= 0 || size.MilliValue()%1000 != 0 || q.Value()%size.Value() != 0 {
		return field.ErrorList{field.Invalid(fldPath, q.String(), fmt.Sprintf("%s is not positive integer multiple of %s", q.String(), name))}
	}
	return nil
}

// claimNames validates that a container names claims of its pod, each once, or its
// requests, each once.
func claimNames(fldPath *field.Path, list []corev1.ResourceClaim, claims sets.Set[string]) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{} // claim, or claim/request
	asked := map[string]int{} // how many of seen are requests of the claim
	for i, c := range list {
		at, key := fldPath.Index(i), c.Name
		switch {
		case c.Name == "":
			errs = append(errs, field.Required(at, ""))
			continue
		case seen[c.Name]: // with all its requests
			errs = append(errs, field.Duplicate(at, c.Name))
		default:
			if c.Request != "" {
				errs = append(errs, check.Invalid(at.Child("request"), c.Request, validation.IsDNS1123Label(c.Request))...)
				key += "/" + c.Request
			}
			if seen[key] {
				errs = append(errs, field.Duplicate(at, key))
			} else if c.Request == "" {
				for range asked[c.Name] {
					errs = append(errs, field.Duplicate(at, c.Name))
				}
			}
			if c.Request != "" && !seen[key] {
				asked[c.Name]++
			}
			seen[key] = true
		}
		if !claims.Has(c.Name) {
			errs = append(errs, noSuchClaim(at, c.Name, claims))
		}
	}
	return errs
}

func noSuchClaim(fldPath *field.Path, name string, claims sets.Set[string]) *field.Error {
	err := field.NotFound(fldPath, name)
	err.Detail = "must be one of the names in pod.spec.resourceClaims"
	if len(claims) == 0 {
		err.Detail += " which is empty"
	} else {
		err.Detail += ": " + strings.Join(sets.List(claims), ", ")
	}
	return err
}
