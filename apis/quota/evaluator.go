package quota

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	quotav1 "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"
)

type requirement = corev1.ScopedResourceSelectorRequirement

// evaluator implements quotav1.Evaluator for one resource by a few functions.
// Those that are nil have a default.
type evaluator struct {
	resource schema.GroupResource
	list     generic.ListFuncByNamespace
	// usage measures one object.
	usage func(runtime.Object) (corev1.ResourceList, error)
	// limits reports whether a quota's resource is measured here.
	limits func(corev1.ResourceName) bool
	// handles reports whether a request may change usage. Default: creation.
	handles func(admission.Attributes) bool
	// inScope reports whether an object is in a scope. Default: in none.
	inScope generic.MatchesScopeFunc
	// constraints rejects objects that leave out what a quota limits.
	constraints func(required []corev1.ResourceName, item runtime.Object) error
}

var _ quotav1.Evaluator = (*evaluator)(nil)

func (e *evaluator) GroupResource() schema.GroupResource { return e.resource }

func (e *evaluator) Handles(a admission.Attributes) bool {
	if e.handles != nil {
		return e.handles(a)
	}
	return a.GetSubresource() == "" && a.GetOperation() == admission.Create
}

func (e *evaluator) Constraints(required []corev1.ResourceName, item runtime.Object) error {
	if e.constraints == nil {
		return nil
	}
	return e.constraints(required, item)
}

func (e *evaluator) Matches(q *corev1.ResourceQuota, item runtime.Object) (bool, error) {
	return generic.Matches(q, item, e.MatchingResources, e.scope())
}

func (e *evaluator) scope() generic.MatchesScopeFunc {
	if e.inScope == nil {
		return generic.MatchesNoScopeFunc
	}
	return e.inScope
}

func (e *evaluator) MatchingScopes(item runtime.Object, scopes []requirement) ([]requirement, error) {
	matched := []requirement{}
	for _, s := range scopes {
		ok, err := e.scope()(s, item)
		if err != nil {
			return nil, err
		}
		if ok {
			matched = append(matched, s)
		}
	}
	return matched, nil
}

// UncoveredQuotaScopes returns those limited scopes that an object is in and no
// quota covers. Only scopes that name values can be limited.
func (e *evaluator) UncoveredQuotaScopes(limited, covered []requirement) ([]requirement, error) {
	uncovered := []requirement{}
	for _, l := range limited {
		if !slices.ContainsFunc(covered, func(c requirement) bool { return c.ScopeName == l.ScopeName }) {
			uncovered = append(uncovered, l)
		}
	}
	return uncovered, nil
}

func (e *evaluator) MatchingResources(input []corev1.ResourceName) []corev1.ResourceName {
	matched := []corev1.ResourceName{}
	for _, r := range input {
		if e.limits(r) && !slices.Contains(matched, r) {
			matched = append(matched, r)
		}
	}
	return matched
}

func (e *evaluator) Usage(item runtime.Object) (corev1.ResourceList, error) { return e.usage(item) }

func (e *evaluator) UsageStats(opts quotav1.UsageStatsOptions) (quotav1.UsageStats, error) {
	return generic.CalculateUsageStats(opts, e.list, e.scope(), e.usage)
}
