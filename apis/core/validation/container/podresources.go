package container

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/coracle-k8s/coracle/apis/core/validation/resources"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// PodRequirements validates the resources of the pod as a whole.
func (s *Scope) PodRequirements(fldPath *field.Path) field.ErrorList {
	r := s.Spec.Resources
	if r == nil {
		return nil
	}
	if s.Spec.OS != nil && s.Spec.OS.Name == corev1.Windows {
		return field.ErrorList{field.Forbidden(fldPath, "may not be set for a windows pod")}
	}
	var errs field.ErrorList
	if r.Claims != nil {
		errs = append(errs, field.Forbidden(fldPath.Child("claims"), "claims may not be set for Resources at pod-level"))
	}
	errs = append(errs, resources.Requirements(fldPath, r, resources.PodName, s.Claims, s.Options.AllowIndivisibleHugePages)...)
	return append(errs, withinPod(fldPath, s.Spec)...)
}

// withinPod validates that containers together may not ask for more than their pod
// requests, nor for more huge pages than its limit, and that none may have a
// limit above its pod's. Upstream looks for containers below the pod's resources.
func withinPod(fldPath *field.Path, spec *corev1.PodSpec) field.ErrorList {
	var errs field.ErrorList
	r, p := spec.Resources, &corev1.Pod{Spec: *spec}
	requests := resourcehelper.AggregateContainerRequests(p, resourcehelper.PodResourcesOptions{})
	for _, name := range resources.Names(requests) {
		total := requests[name]
		if q, ok := r.Requests[name]; ok && total.Cmp(q) > 0 {
			errs = append(errs, field.Invalid(fldPath.Child("requests").Key(string(name)), q.String(),
				fmt.Sprintf("must be greater than or equal to aggregate container requests of %s", total.String())))
		}
	}
	limits := resourcehelper.AggregateContainerLimits(p, resourcehelper.PodResourcesOptions{})
	for _, name := range resources.Names(limits) {
		total := limits[name]
		if q, ok := r.Limits[name]; ok && resources.IsHugePages(name) && total.Cmp(q) > 0 {
			errs = append(errs, field.Invalid(fldPath.Child("limits").Key(string(name)), q.String(),
				fmt.Sprintf("must be greater than or equal to aggregate container limits of %s", total.String())))
		}
	}
	for i := range spec.Containers {
		for _, name := range resources.Names(spec.Containers[i].Resources.Limits) {
			q := spec.Containers[i].Resources.Limits[name]
			if limit, ok := r.Limits[name]; ok && q.Cmp(limit) > 0 {
				errs = append(errs, field.Invalid(fldPath.Child("containers").Index(i).Key(string(name)).Child("limits"), q.String(),
					fmt.Sprintf("must be less than or equal to pod limits of %s", limit.String())))
			}
		}
	}
	return errs
}

// resizePolicies validates how a container takes new resources.
func resizePolicies(fldPath *field.Path, list []corev1.ContainerResizePolicy, pod corev1.RestartPolicy) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[corev1.ResourceName]()
	for i, p := range list {
		if seen.Has(p.ResourceName) {
			errs = append(errs, field.Duplicate(fldPath.Index(i), p.ResourceName))
		}
		seen.Insert(p.ResourceName)
		errs = append(errs, check.RequiredOneOf(fldPath, p.ResourceName, corev1.ResourceCPU, corev1.ResourceMemory)...)
		errs = append(errs, check.RequiredOneOf(fldPath, p.RestartPolicy, corev1.NotRequired, corev1.RestartContainer)...)
		if pod == corev1.RestartPolicyNever && p.RestartPolicy != corev1.NotRequired {
			errs = append(errs, field.Invalid(fldPath, p.RestartPolicy, "must be 'NotRequired' when pod `restartPolicy` is 'Never'"))
		}
	}
	return errs
}
