package core

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/coracle-k8s/coracle/apis/extendedresource"
)

func isHugePages(name corev1.ResourceName) bool {
	return strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

// mayOvercommit tells whether the requests of a resource may be below its limits.
func mayOvercommit(name corev1.ResourceName) bool {
	return extendedresource.Native(name) && !isHugePages(name)
}

func isContainerResource(name corev1.ResourceName) bool {
	switch name {
	case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
		return true
	}
	return isHugePages(name)
}

// isQuotaResource tells whether a ResourceQuota may count name.
func isQuotaResource(name corev1.ResourceName) bool {
	switch name {
	case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage,
		corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceRequestsStorage, corev1.ResourceRequestsEphemeralStorage,
		corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory, corev1.ResourceLimitsEphemeralStorage,
		corev1.ResourcePods, corev1.ResourceQuotas, corev1.ResourceServices, corev1.ResourceReplicationControllers,
		corev1.ResourceSecrets, corev1.ResourcePersistentVolumeClaims, corev1.ResourceConfigMaps,
		corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers:
		return true
	}
	return isHugePages(name) || strings.HasPrefix(string(name), corev1.ResourceRequestsHugePagesPrefix)
}

// isInteger tells whether fractions of name make no sense.
func isInteger(name corev1.ResourceName) bool {
	switch name {
	case corev1.ResourcePods, corev1.ResourceQuotas, corev1.ResourceServices, corev1.ResourceReplicationControllers,
		corev1.ResourceSecrets, corev1.ResourceConfigMaps, corev1.ResourcePersistentVolumeClaims,
		corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers:
		return true
	}
	return extendedresource.Is(name)
}

func resourceName(fldPath *field.Path, name corev1.ResourceName) field.ErrorList {
	if msgs := validation.IsQualifiedName(string(name)); len(msgs) > 0 {
		return invalid(fldPath, name, msgs)
	}
	if !strings.Contains(string(name), "/") && !isContainerResource(name) && !isQuotaResource(name) && name != corev1.ResourceStorage {
		return field.ErrorList{field.Invalid(fldPath, name, "must be a standard resource type or fully qualified")}
	}
	return nil
}

// ValidateContainerResourceName validates the name of what a container may request.
func ValidateContainerResourceName(name corev1.ResourceName, fldPath *field.Path) field.ErrorList {
	return containerResourceName(fldPath, name)
}

func containerResourceName(fldPath *field.Path, name corev1.ResourceName) field.ErrorList {
	if errs := resourceName(fldPath, name); len(errs) > 0 {
		return errs
	}
	switch {
	case !strings.Contains(string(name), "/"):
		if !isContainerResource(name) {
			return field.ErrorList{field.Invalid(fldPath, name, "must be a standard resource for containers")}
		}
	case !extendedresource.Native(name) && !extendedresource.Is(name):
		return field.ErrorList{field.Invalid(fldPath, name, "doesn't follow extended resource name standard")}
	}
	return nil
}

func quotaResourceName(fldPath *field.Path, name corev1.ResourceName) field.ErrorList {
	if errs := resourceName(fldPath, name); len(errs) > 0 {
		return errs
	}
	if !strings.Contains(string(name), "/") && !isQuotaResource(name) {
		return field.ErrorList{field.Invalid(fldPath, name, "must be a standard resource for quota")}
	}
	return nil
}

func nonnegativeQuantity(fldPath *field.Path, q resource.Quantity) field.ErrorList {
	if q.Sign() < 0 {
		return field.ErrorList{field.Invalid(fldPath, q.String(), apivalidation.IsNegativeErrorMsg)}
	}
	return nil
}

func positiveQuantity(fldPath *field.Path, q resource.Quantity) field.ErrorList {
	if q.Sign() <= 0 {
		return field.ErrorList{field.Invalid(fldPath, q.String(), mustBePositive)}
	}
	return nil
}

func resourceAmount(fldPath *field.Path, name corev1.ResourceName, q resource.Quantity) field.ErrorList {
	errs := nonnegativeQuantity(fldPath, q)
	if isInteger(name) && q.MilliValue()%1000 != 0 {
		errs = append(errs, field.Invalid(fldPath, q.String(), "must be an integer"))
	}
	return errs
}

// resourceNames returns the keys of list in order, so that errors are too.
func resourceNames(list corev1.ResourceList) []corev1.ResourceName {
	return sets.List(sets.KeySet(list))
}

// requirements validates the resources of a container; claims are those that
// its pod has.
func requirements(fldPath *field.Path, r *corev1.ResourceRequirements, claims sets.Set[string], opts PodOptions) field.ErrorList {
	var errs field.ErrorList
	limits, requests := fldPath.Child("limits"), fldPath.Child("requests")
	hugePages, cpuOrMemory := false, false
	note := func(name corev1.ResourceName) {
		hugePages = hugePages || isHugePages(name)
		cpuOrMemory = cpuOrMemory || name == corev1.ResourceCPU || name == corev1.ResourceMemory
	}
	for _, name := range resourceNames(r.Limits) {
		q := r.Limits[name]
		errs = append(errs, containerResourceName(limits.Key(string(name)), name)...)
		errs = append(errs, resourceAmount(limits.Key(string(name)), name, q)...)
		errs = append(errs, wholePages(limits.Key(string(name)), name, q, opts)...)
		note(name)
	}
	for _, name := range resourceNames(r.Requests) {
		q := r.Requests[name]
		errs = append(errs, containerResourceName(requests.Key(string(name)), name)...)
		errs = append(errs, resourceAmount(requests.Key(string(name)), name, q)...)
		errs = append(errs, wholePages(requests.Key(string(name)), name, q, opts)...)
		errs = append(errs, requestWithinLimit(fldPath, name, q, r.Limits)...)
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
	case !ok && !mayOvercommit(name):
		return field.ErrorList{field.Required(fldPath.Child("limits"), "Limit must be set for non overcommitable resources")}
	case !ok:
	case !mayOvercommit(name) && q.Cmp(limit) != 0:
		return field.ErrorList{field.Invalid(at, q.String(), fmt.Sprintf("must be equal to %s limit of %s", name, limit.String()))}
	case q.Cmp(limit) > 0:
		return field.ErrorList{field.Invalid(at, q.String(), fmt.Sprintf("must be less than or equal to %s limit of %s", name, limit.String()))}
	}
	return nil
}

// wholePages says that memory in huge pages comes in multiples of the page's size.
func wholePages(fldPath *field.Path, name corev1.ResourceName, q resource.Quantity, opts PodOptions) field.ErrorList {
	if !isHugePages(name) || opts.AllowIndivisibleHugePages {
		return nil
	}
	size, err := resource.ParseQuantity(strings.TrimPrefix(string(name), corev1.ResourceHugePagesPrefix))
	if err != nil || size.Sign() <= 0 || size.Value() == 0 || q.Value()%size.Value() != 0 {
		return field.ErrorList{field.Invalid(fldPath, q.String(), fmt.Sprintf("%s is not positive integer multiple of %s", q.String(), name))}
	}
	return nil
}

func claimNames(fldPath *field.Path, list []corev1.ResourceClaim, claims sets.Set[string]) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[corev1.ResourceClaim]()
	whole := sets.New[string]()
	for i, c := range list {
		at := fldPath.Index(i)
		switch {
		case c.Name == "":
			errs = append(errs, field.Required(at, ""))
		case seen.Has(c), c.Request == "" && slices.ContainsFunc(list[:i], func(o corev1.ResourceClaim) bool { return o.Name == c.Name }), whole.Has(c.Name):
			errs = append(errs, field.Duplicate(at, c.Name))
		case !claims.Has(c.Name):
			errs = append(errs, field.NotFound(at, c.Name))
		}
		if c.Request == "" {
			whole.Insert(c.Name)
		} else {
			errs = append(errs, invalid(at.Child("request"), c.Request, validation.IsDNS1123Label(c.Request))...)
		}
		seen.Insert(c)
	}
	return errs
}

// podRequirements validates the resources of the pod as a whole.
func podRequirements(fldPath *field.Path, spec *corev1.PodSpec, opts PodOptions) field.ErrorList {
	r := spec.Resources
	if r == nil {
		return nil
	}
	errs := requirements(fldPath, r, nil, opts)
	if len(r.Claims) > 0 {
		errs = append(errs, field.Forbidden(fldPath.Child("claims"), "claims may not be set for Resources at pod-level"))
	}
	unsupported := func(at *field.Path, list corev1.ResourceList) {
		for _, name := range resourceNames(list) {
			if !resourcehelper.IsSupportedPodLevelResource(name) {
				errs = append(errs, field.NotSupported(at, name, []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceHugePagesPrefix}))
			}
		}
	}
	unsupported(fldPath.Child("limits"), r.Limits)
	unsupported(fldPath.Child("requests"), r.Requests)
	if spec.OS != nil && spec.OS.Name == corev1.Windows {
		errs = append(errs, field.Forbidden(fldPath, "may not be set for a windows pod"))
	}
	return append(errs, withinPod(fldPath, spec)...)
}

// withinPod says that containers together may not ask for more than their pod
// requests, and that none may have a limit above its pod's.
func withinPod(fldPath *field.Path, spec *corev1.PodSpec) field.ErrorList {
	var errs field.ErrorList
	r := spec.Resources
	sum := resourcehelper.AggregateContainerRequests(&corev1.Pod{Spec: *spec}, resourcehelper.PodResourcesOptions{})
	for _, name := range resourceNames(r.Requests) {
		q, total := r.Requests[name], sum[name]
		if total.Cmp(q) > 0 {
			errs = append(errs, field.Invalid(fldPath.Child("requests").Key(string(name)), q.String(),
				fmt.Sprintf("must be greater than or equal to aggregate container requests of %s", total.String())))
		}
	}
	containers := field.NewPath("spec", "containers")
	for i := range spec.Containers {
		for _, name := range resourceNames(spec.Containers[i].Resources.Limits) {
			q := spec.Containers[i].Resources.Limits[name]
			if limit, ok := r.Limits[name]; ok && q.Cmp(limit) > 0 {
				errs = append(errs, field.Invalid(containers.Index(i).Child("resources", "limits").Key(string(name)), q.String(),
					fmt.Sprintf("must be less than or equal to pod limits of %s", limit.String())))
			}
		}
	}
	return errs
}

// resizePolicies validates how a container takes new resources.
func resizePolicies(fldPath *field.Path, list []corev1.ContainerResizePolicy, pod corev1.RestartPolicy, container *corev1.ContainerRestartPolicy) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[corev1.ResourceName]()
	never := container == nil && pod == corev1.RestartPolicyNever ||
		container != nil && *container == corev1.ContainerRestartPolicyNever
	for i, p := range list {
		if seen.Has(p.ResourceName) {
			errs = append(errs, field.Duplicate(fldPath.Index(i), p.ResourceName))
		}
		seen.Insert(p.ResourceName)
		errs = append(errs, requiredOneOf(fldPath, p.ResourceName, corev1.ResourceCPU, corev1.ResourceMemory)...)
		errs = append(errs, requiredOneOf(fldPath, p.RestartPolicy, corev1.NotRequired, corev1.RestartContainer)...)
		if never && p.RestartPolicy == corev1.RestartContainer {
			errs = append(errs, field.Invalid(fldPath, p.RestartPolicy, "must be 'NotRequired' when `restartPolicy` is 'Never'"))
		}
	}
	return errs
}
