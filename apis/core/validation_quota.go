package core

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateResourceQuota validates a new ResourceQuota.
func ValidateResourceQuota(q *corev1.ResourceQuota) field.ErrorList {
	errs := objectMeta(&q.ObjectMeta, true, apivalidation.NameIsDNSSubdomain)
	errs = append(errs, quotaSpec(field.NewPath("spec"), &q.Spec)...)
	return append(errs, quotaStatus(&q.Status)...)
}

func quotaAmounts(fldPath *field.Path, list corev1.ResourceList) field.ErrorList {
	var errs field.ErrorList
	for _, name := range resourceNames(list) {
		errs = append(errs, quotaResourceName(fldPath.Key(string(name)), name)...)
		errs = append(errs, resourceAmount(fldPath.Key(string(name)), name, list[name])...)
	}
	return errs
}

func quotaStatus(s *corev1.ResourceQuotaStatus) field.ErrorList {
	status := field.NewPath("status")
	return append(quotaAmounts(status.Child("hard"), s.Hard), quotaAmounts(status.Child("used"), s.Used)...)
}

func quotaSpec(fldPath *field.Path, s *corev1.ResourceQuotaSpec) field.ErrorList {
	errs := quotaAmounts(fldPath.Child("hard"), s.Hard)
	scopes := sets.New[corev1.ResourceQuotaScope]()
	for _, scope := range s.Scopes {
		errs = append(errs, quotaScope(fldPath.Child("scopes"), scope, s)...)
		scopes.Insert(scope)
	}
	errs = append(errs, exclusiveScopes(fldPath.Child("scopes"), scopes, s.Scopes)...)
	if s.ScopeSelector != nil {
		errs = append(errs, scopeSelector(fldPath.Child("scopeSelector"), s)...)
	}
	return errs
}

func quotaScope(fldPath *field.Path, scope corev1.ResourceQuotaScope, s *corev1.ResourceQuotaSpec) field.ErrorList {
	known := []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating,
		corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort, corev1.ResourceQuotaScopePriorityClass,
		corev1.ResourceQuotaScopeCrossNamespacePodAffinity, corev1.ResourceQuotaScopeVolumeAttributesClass}
	if !slices.Contains(known, scope) {
		return field.ErrorList{field.Invalid(fldPath, scope, "unsupported scope")}
	}
	var errs field.ErrorList
	for _, name := range resourceNames(s.Hard) {
		if isQuotaResource(name) && !scopeCounts(scope, name) {
			errs = append(errs, field.Invalid(fldPath, resourceNames(s.Hard), "unsupported scope applied to resource"))
			break
		}
	}
	return errs
}

// scopeCounts tells whether a quota of the given scope can count name.
func scopeCounts(scope corev1.ResourceQuotaScope, name corev1.ResourceName) bool {
	switch scope {
	case corev1.ResourceQuotaScopeBestEffort:
		return name == corev1.ResourcePods
	case corev1.ResourceQuotaScopeVolumeAttributesClass:
		return name == corev1.ResourcePersistentVolumeClaims || name == corev1.ResourceRequestsStorage
	}
	switch name {
	case corev1.ResourceQuotas, corev1.ResourceServices, corev1.ResourceReplicationControllers, corev1.ResourceSecrets, corev1.ResourceConfigMaps,
		corev1.ResourcePersistentVolumeClaims, corev1.ResourceRequestsStorage, corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers:
		return false
	}
	return true
}

func exclusiveScopes(fldPath *field.Path, scopes sets.Set[corev1.ResourceQuotaScope], value any) field.ErrorList {
	if scopes.HasAll(corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort) ||
		scopes.HasAll(corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating) {
		return field.ErrorList{field.Invalid(fldPath, value, "conflicting scopes")}
	}
	return nil
}

func scopeSelector(fldPath *field.Path, s *corev1.ResourceQuotaSpec) field.ErrorList {
	var errs field.ErrorList
	at := fldPath.Child("matchExpressions")
	scopes := sets.New[corev1.ResourceQuotaScope]()
	for _, r := range s.ScopeSelector.MatchExpressions {
		errs = append(errs, quotaScope(at.Child("scopeName"), r.ScopeName, s)...)
		switch r.ScopeName {
		case corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort, corev1.ResourceQuotaScopeTerminating,
			corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
			if r.Operator != corev1.ScopeSelectorOpExists {
				errs = append(errs, field.Invalid(at.Child("operator"), r.Operator, "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"))
			}
		}
		switch r.Operator {
		case corev1.ScopeSelectorOpIn, corev1.ScopeSelectorOpNotIn:
			if len(r.Values) == 0 {
				errs = append(errs, field.Required(at.Child("values"), "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"))
			}
		case corev1.ScopeSelectorOpExists, corev1.ScopeSelectorOpDoesNotExist:
			if len(r.Values) > 0 {
				errs = append(errs, field.Invalid(at.Child("values"), r.Values, "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"))
			}
		default:
			errs = append(errs, field.Invalid(at.Child("operator"), r.Operator, "not a valid selector operator"))
		}
		scopes.Insert(r.ScopeName)
	}
	return append(errs, exclusiveScopes(fldPath, scopes, s.ScopeSelector)...)
}

// ValidateResourceQuotaUpdate validates an update: scopes stay as they are.
func ValidateResourceQuotaUpdate(q, old *corev1.ResourceQuota) field.ErrorList {
	errs := objectMetaUpdate(&q.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, quotaSpec(field.NewPath("spec"), &q.Spec)...)
	if !sets.New(q.Spec.Scopes...).Equal(sets.New(old.Spec.Scopes...)) {
		errs = append(errs, field.Invalid(field.NewPath("spec", "scopes"), q.Spec.Scopes, immutable))
	}
	return errs
}

// ValidateResourceQuotaStatusUpdate validates the subresource status.
func ValidateResourceQuotaStatusUpdate(q, old *corev1.ResourceQuota) field.ErrorList {
	errs := objectMetaUpdate(&q.ObjectMeta, &old.ObjectMeta)
	if q.ResourceVersion == "" {
		errs = append(errs, field.Required(field.NewPath("resourceVersion"), ""))
	}
	return append(errs, quotaStatus(&q.Status)...)
}

// ValidateLimitRange validates a LimitRange, new or changed.
func ValidateLimitRange(lr *corev1.LimitRange) field.ErrorList {
	errs := objectMeta(&lr.ObjectMeta, true, apivalidation.NameIsDNSSubdomain)
	seen := sets.New[corev1.LimitType]()
	for i := range lr.Spec.Limits {
		l, at := &lr.Spec.Limits[i], field.NewPath("spec", "limits").Index(i)
		errs = append(errs, limitType(at.Child("type"), l.Type)...)
		if seen.Has(l.Type) {
			errs = append(errs, field.Duplicate(at.Child("type"), l.Type))
		}
		seen.Insert(l.Type)
		errs = append(errs, limits(at, l)...)
	}
	return errs
}

// ValidateLimitRangeUpdate validates an update of a LimitRange.
func ValidateLimitRangeUpdate(lr, old *corev1.LimitRange) field.ErrorList {
	return append(objectMetaUpdate(&lr.ObjectMeta, &old.ObjectMeta), ValidateLimitRange(lr)...)
}

func limitType(fldPath *field.Path, t corev1.LimitType) field.ErrorList {
	switch t {
	case corev1.LimitTypePod, corev1.LimitTypeContainer, corev1.LimitTypePersistentVolumeClaim:
		return nil
	}
	return resourceName(fldPath, corev1.ResourceName(t)) // a type that somebody else enforces has a qualified name
}

// limits validates the limits of one type: minimum ≤ default request ≤ default
// ≤ maximum, for every resource that has them.
func limits(fldPath *field.Path, l *corev1.LimitRangeItem) field.ErrorList {
	var errs field.ErrorList
	all := sets.New[corev1.ResourceName]()
	for name, list := range map[string]corev1.ResourceList{"max": l.Max, "min": l.Min, "default": l.Default,
		"defaultRequest": l.DefaultRequest, "maxLimitRequestRatio": l.MaxLimitRequestRatio} {
		if len(list) > 0 && l.Type == corev1.LimitTypePod && (name == "default" || name == "defaultRequest") {
			errs = append(errs, field.Forbidden(fldPath.Child(name), "may not be specified when `type` is 'Pod'"))
		}
		for _, r := range resourceNames(list) {
			errs = append(errs, limitResource(fldPath.Child(name).Key(string(r)), l.Type, r)...)
			all.Insert(r)
		}
	}
	if l.Type == corev1.LimitTypePersistentVolumeClaim {
		_, min := l.Min[corev1.ResourceStorage]
		_, max := l.Max[corev1.ResourceStorage]
		if !min && !max {
			errs = append(errs, field.Required(fldPath.Child("limits"), "either minimum or maximum storage value is required, but neither was provided"))
		}
	}
	for _, r := range sets.List(all) {
		errs = append(errs, limitOrder(fldPath, l, r)...)
	}
	return errs
}

func limitResource(fldPath *field.Path, t corev1.LimitType, name corev1.ResourceName) field.ErrorList {
	if t == corev1.LimitTypePod || t == corev1.LimitTypeContainer {
		return containerResourceName(fldPath, name)
	}
	return resourceName(fldPath, name)
}

func limitOrder(fldPath *field.Path, l *corev1.LimitRangeItem, r corev1.ResourceName) field.ErrorList {
	var errs field.ErrorList
	type bound struct {
		field, words string
		list         corev1.ResourceList
	}
	min, max := bound{"min", "min", l.Min}, bound{"max", "max", l.Max}
	request, def := bound{"defaultRequest", "default request", l.DefaultRequest}, bound{"default", "default", l.Default}
	for _, c := range []struct {
		low, high, at bound
	}{{min, max, min}, {min, request, request}, {request, max, request}, {request, def, request}, {min, def, min}, {def, max, def}} {
		low, ok := c.low.list[r]
		high, ok2 := c.high.list[r]
		if ok && ok2 && low.Cmp(high) > 0 {
			errs = append(errs, field.Invalid(fldPath.Child(c.at.field).Key(string(r)), value(c.at.list, r),
				fmt.Sprintf("%s value %s is greater than %s value %s", c.low.words, low.String(), c.high.words, high.String())))
		}
	}
	if ratio, ok := l.MaxLimitRequestRatio[r]; ok {
		errs = append(errs, limitRatio(fldPath.Child("maxLimitRequestRatio").Key(string(r)), ratio, l, r)...)
	}
	if !mayOvercommit(r) {
		if d, q := l.Default[r], l.DefaultRequest[r]; d.Cmp(q) != 0 {
			errs = append(errs, field.Invalid(fldPath.Child("defaultRequest").Key(string(r)), value(l.DefaultRequest, r),
				fmt.Sprintf("default value %s must equal to defaultRequest value %s in %s", d.String(), q.String(), r)))
		}
	}
	return errs
}

func limitRatio(fldPath *field.Path, ratio resource.Quantity, l *corev1.LimitRangeItem, r corev1.ResourceName) field.ErrorList {
	var errs field.ErrorList
	if ratio.Cmp(*resource.NewQuantity(1, resource.DecimalSI)) < 0 {
		errs = append(errs, field.Invalid(fldPath, ratio.String(), fmt.Sprintf("ratio %s is less than 1", ratio.String())))
	}
	min, ok := l.Min[r]
	max, ok2 := l.Max[r]
	if !ok || !ok2 || min.IsZero() {
		return errs
	}
	if most := max.AsApproximateFloat64() / min.AsApproximateFloat64(); ratio.AsApproximateFloat64() > most {
		errs = append(errs, field.Invalid(fldPath, ratio.String(), fmt.Sprintf("ratio %s is greater than max/min = %f", ratio.String(), most)))
	}
	return errs
}

func value(list corev1.ResourceList, r corev1.ResourceName) string {
	q := list[r]
	return q.String()
}
