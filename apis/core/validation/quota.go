package validation

import (
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/validation/resources"
	"github.com/coracle-k8s/coracle/apis/hub"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// ValidateResourceQuota validates a new ResourceQuota.
func ValidateResourceQuota(q *corev1.ResourceQuota) field.ErrorList {
	errs := check.ObjectMeta(&q.ObjectMeta, true, apivalidation.NameIsDNSSubdomain)
	errs = append(errs, quotaSpec(field.NewPath("spec"), &q.Spec)...)
	return append(errs, quotaStatus(&q.Status)...)
}

func quotaAmounts(fldPath *field.Path, list corev1.ResourceList) field.ErrorList {
	var errs field.ErrorList
	for _, name := range resources.Names(list) {
		errs = append(errs, resources.QuotaName(fldPath.Key(string(name)), name)...)
		errs = append(errs, resources.Amount(fldPath.Key(string(name)), name, list[name])...)
	}
	return errs
}

func quotaStatus(s *corev1.ResourceQuotaStatus) field.ErrorList {
	status := field.NewPath("status")
	return append(quotaAmounts(status.Child("hard"), s.Hard), quotaAmounts(status.Child("used"), s.Used)...)
}

func quotaSpec(fldPath *field.Path, s *corev1.ResourceQuotaSpec) field.ErrorList {
	errs := quotaAmounts(fldPath.Child("hard"), s.Hard)
	at := fldPath.Child("scopes")
	scopes := sets.New[corev1.ResourceQuotaScope]()
	for _, scope := range s.Scopes {
		if !isQuotaScope(scope) {
			errs = append(errs, field.Invalid(at, s.Scopes, "unsupported scope"))
		}
		errs = append(errs, quotaScope(at, scope, s, s.Scopes)...)
		scopes.Insert(scope)
	}
	errs = append(errs, exclusiveScopes(at, scopes, s.Scopes)...)
	if s.ScopeSelector != nil {
		errs = append(errs, scopeSelector(fldPath.Child("scopeSelector", "matchExpressions"), s)...)
	}
	return errs
}

func isQuotaScope(scope corev1.ResourceQuotaScope) bool {
	switch scope {
	case corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating,
		corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort, corev1.ResourceQuotaScopePriorityClass,
		corev1.ResourceQuotaScopeCrossNamespacePodAffinity, corev1.ResourceQuotaScopeVolumeAttributesClass:
		return true
	}
	return false
}

// quotaScope refuses resources of the quota that a scope cannot count; value is
// what the errors show.
func quotaScope(fldPath *field.Path, scope corev1.ResourceQuotaScope, s *corev1.ResourceQuotaSpec, value any) field.ErrorList {
	var errs field.ErrorList
	for _, name := range resources.Names(s.Hard) {
		if resources.IsQuota(name) && isQuotaScope(scope) && !scopeCounts(scope, name) {
			errs = append(errs, field.Invalid(fldPath, value, "unsupported scope applied to resource"))
		}
	}
	return errs
}

// scopeCounts reports whether a quota of the given scope can count name.
func scopeCounts(scope corev1.ResourceQuotaScope, name corev1.ResourceName) bool {
	switch scope {
	case corev1.ResourceQuotaScopeBestEffort:
		return name == corev1.ResourcePods
	case corev1.ResourceQuotaScopeVolumeAttributesClass:
		return name == corev1.ResourcePersistentVolumeClaims || name == corev1.ResourceRequestsStorage
	}
	switch name {
	case corev1.ResourcePods, corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory,
		corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory:
		return true
	}
	return false
}

func exclusiveScopes(fldPath *field.Path, scopes sets.Set[corev1.ResourceQuotaScope], value any) field.ErrorList {
	var errs field.ErrorList
	if scopes.HasAll(corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort) {
		errs = append(errs, field.Invalid(fldPath, value, "conflicting scopes"))
	}
	if scopes.HasAll(corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating) {
		errs = append(errs, field.Invalid(fldPath, value, "conflicting scopes"))
	}
	return errs
}

func scopeSelector(fldPath *field.Path, s *corev1.ResourceQuotaSpec) field.ErrorList {
	var errs field.ErrorList
	scopes := sets.New[corev1.ResourceQuotaScope]()
	for _, r := range s.ScopeSelector.MatchExpressions {
		if !isQuotaScope(r.ScopeName) {
			errs = append(errs, field.Invalid(fldPath.Child("scopeName"), r.ScopeName, "unsupported scope"))
		}
		errs = append(errs, quotaScope(fldPath, r.ScopeName, s, hub.Internal(s.ScopeSelector))...)
		errs = append(errs, scopeOperator(fldPath, &r)...)
		scopes.Insert(r.ScopeName)
	}
	return append(errs, exclusiveScopes(fldPath, scopes, s.Scopes)...)
}

func scopeOperator(fldPath *field.Path, r *corev1.ScopedResourceSelectorRequirement) field.ErrorList {
	var errs field.ErrorList
	switch r.ScopeName {
	case corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort, corev1.ResourceQuotaScopeTerminating,
		corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
		if r.Operator != corev1.ScopeSelectorOpExists {
			errs = append(errs, field.Invalid(fldPath.Child("operator"), r.Operator, "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"))
		}
	}
	switch r.Operator {
	case corev1.ScopeSelectorOpIn, corev1.ScopeSelectorOpNotIn:
		if len(r.Values) == 0 {
			errs = append(errs, field.Required(fldPath.Child("values"), "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"))
		}
	case corev1.ScopeSelectorOpExists, corev1.ScopeSelectorOpDoesNotExist:
		if len(r.Values) > 0 {
			errs = append(errs, field.Invalid(fldPath.Child("values"), r.Values, "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"))
		}
	default:
		errs = append(errs, field.Invalid(fldPath.Child("operator"), r.Operator, "not a valid selector operator"))
	}
	return errs
}

// ValidateResourceQuotaUpdate validates an update: scopes stay as they are.
func ValidateResourceQuotaUpdate(q, old *corev1.ResourceQuota) field.ErrorList {
	errs := check.ObjectMetaUpdate(&q.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, quotaSpec(field.NewPath("spec"), &q.Spec)...)
	if !sets.New(q.Spec.Scopes...).Equal(sets.New(old.Spec.Scopes...)) {
		errs = append(errs, field.Invalid(field.NewPath("spec", "scopes"), q.Spec.Scopes, apivalidation.FieldImmutableErrorMsg))
	}
	return errs
}

// ValidateResourceQuotaStatusUpdate validates the subresource status.
func ValidateResourceQuotaStatusUpdate(q, old *corev1.ResourceQuota) field.ErrorList {
	errs := check.ObjectMetaUpdate(&q.ObjectMeta, &old.ObjectMeta)
	if q.ResourceVersion == "" {
		errs = append(errs, field.Required(field.NewPath("resourceVersion"), ""))
	}
	return append(errs, quotaStatus(&q.Status)...)
}
