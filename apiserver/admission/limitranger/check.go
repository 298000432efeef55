package limitranger

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"
)

// bound checks one resource of one thing against one limit; the messages are
// upstream's.
type bound func(kind corev1.LimitType, name corev1.ResourceName, enforced resource.Quantity, requests, limits corev1.ResourceList) error

func checkPod(r *corev1.LimitRange, pod *corev1.Pod) []error {
	var errs []error
	for _, item := range r.Spec.Limits {
		switch item.Type {
		case corev1.LimitTypeContainer:
			for _, c := range slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers) {
				errs = append(errs, checkItem(item, c.Resources.Requests, c.Resources.Limits)...)
			}
		case corev1.LimitTypePod:
			requests := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{ExcludeOverhead: true})
			limits := resourcehelper.PodLimits(pod, resourcehelper.PodResourcesOptions{ExcludeOverhead: true})
			errs = append(errs, checkItem(item, requests, limits)...)
		}
	}
	return errs
}

func checkClaim(r *corev1.LimitRange, claim *corev1.PersistentVolumeClaim) []error {
	var errs []error
	for _, item := range r.Spec.Limits {
		if item.Type == corev1.LimitTypePersistentVolumeClaim {
			errs = append(errs, each(item.Type, item.Min, minimum, claim.Spec.Resources.Requests, nil)...)
			errs = append(errs, each(item.Type, item.Max, maximumRequest, claim.Spec.Resources.Requests, nil)...)
		}
	}
	return errs
}

func checkItem(item corev1.LimitRangeItem, requests, limits corev1.ResourceList) []error {
	errs := each(item.Type, item.Min, minimum, requests, limits)
	errs = append(errs, each(item.Type, item.Max, maximum, requests, limits)...)
	return append(errs, each(item.Type, item.MaxLimitRequestRatio, ratio, requests, limits)...)
}

func each(kind corev1.LimitType, enforced corev1.ResourceList, check bound, requests, limits corev1.ResourceList) []error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(enforced)) {
		if err := check(kind, name, enforced[name], requests, limits); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func minimum(kind corev1.LimitType, name corev1.ResourceName, enforced resource.Quantity, requests, limits corev1.ResourceList) error {
	request, requested := requests[name]
	limit, limited := limits[name]
	switch {
	case !requested:
		return fmt.Errorf("minimum %s usage per %s is %s.  No request is specified", name, kind, enforced.String())
	case request.Cmp(enforced) < 0:
		return fmt.Errorf("minimum %s usage per %s is %s, but request is %s", name, kind, enforced.String(), request.String())
	case limited && limit.Cmp(enforced) < 0:
		return fmt.Errorf("minimum %s usage per %s is %s, but limit is %s", name, kind, enforced.String(), limit.String())
	}
	return nil
}

func maximum(kind corev1.LimitType, name corev1.ResourceName, enforced resource.Quantity, requests, limits corev1.ResourceList) error {
	request, requested := requests[name]
	limit, limited := limits[name]
	switch {
	case !limited:
		return fmt.Errorf("maximum %s usage per %s is %s.  No limit is specified", name, kind, enforced.String())
	case limit.Cmp(enforced) > 0:
		return fmt.Errorf("maximum %s usage per %s is %s, but limit is %s", name, kind, enforced.String(), limit.String())
	case requested && request.Cmp(enforced) > 0:
		return fmt.Errorf("maximum %s usage per %s is %s, but request is %s", name, kind, enforced.String(), request.String())
	}
	return nil
}

func maximumRequest(kind corev1.LimitType, name corev1.ResourceName, enforced resource.Quantity, requests, _ corev1.ResourceList) error {
	request, requested := requests[name]
	switch {
	case !requested:
		return fmt.Errorf("maximum %s usage per %s is %s.  No request is specified", name, kind, enforced.String())
	case request.Cmp(enforced) > 0:
		return fmt.Errorf("maximum %s usage per %s is %s, but request is %s", name, kind, enforced.String(), request.String())
	}
	return nil
}

func ratio(kind corev1.LimitType, name corev1.ResourceName, enforced resource.Quantity, requests, limits corev1.ResourceList) error {
	request, requested := requests[name]
	limit, limited := limits[name]
	if !requested || request.Sign() == 0 {
		return fmt.Errorf("%s max limit to request ratio per %s is %s, but no request is specified or request is 0", name, kind, enforced.String())
	}
	if !limited || limit.Sign() == 0 {
		return fmt.Errorf("%s max limit to request ratio per %s is %s, but no limit is specified or limit is 0", name, kind, enforced.String())
	}
	if got := limit.AsApproximateFloat64() / request.AsApproximateFloat64(); got > enforced.AsApproximateFloat64() {
		return fmt.Errorf("%s max limit to request ratio per %s is %s, but provided ratio is %f", name, kind, enforced.String(), got)
	}
	return nil
}
