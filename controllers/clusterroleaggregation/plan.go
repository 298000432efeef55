package clusterroleaggregation

import (
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/coracle-k8s/coracle/apis/rbac"
)

// plan returns the rules that the role must get; no write is due when ok is false.
func plan(role *rbacv1.ClusterRole, all []*rbacv1.ClusterRole) (rules []rbacv1.PolicyRule, ok bool) {
	if role.AggregationRule == nil || role.DeletionTimestamp != nil {
		return nil, false
	}
	rules = rbac.Aggregate(role, all)
	return rules, !equality.Semantic.DeepEqual(rules, role.Rules)
}
