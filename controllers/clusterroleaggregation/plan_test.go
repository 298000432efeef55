package clusterroleaggregation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func rules(verbs ...string) []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	for _, v := range verbs {
		out = append(out, rbacv1.PolicyRule{Verbs: []string{v}, APIGroups: []string{""}, Resources: []string{"pods"}})
	}
	return out
}

func role(name string, labels map[string]string, verbs ...string) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Rules: rules(verbs...)}
}

func TestPlan(t *testing.T) {
	selected := map[string]string{"to": "x"}
	aggregate := &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"also": "x"}}, {MatchLabels: selected}}}
	parts := []*rbacv1.ClusterRole{
		role("b", selected, "list", "get"), role("a", selected, "get"), role("other", nil, "delete"), role("z", map[string]string{"also": "x"}, "watch"),
	}
	for name, c := range map[string]struct {
		role *rbacv1.ClusterRole
		rule *rbacv1.AggregationRule
		want []rbacv1.PolicyRule
		ok   bool
	}{
		"not aggregated":        {role: role("x", nil, "get")},
		"in order, each once":   {role: role("x", nil), rule: aggregate, want: rules("watch", "get", "list"), ok: true},
		"selects itself":        {role: role("x", selected, "patch"), rule: aggregate, want: rules("watch", "get", "list"), ok: true},
		"overrules":             {role: role("x", nil, "watch", "get", "list", "delete"), rule: aggregate, want: rules("watch", "get", "list"), ok: true},
		"as it is":              {role: role("x", nil, "watch", "get", "list"), rule: aggregate, want: rules("watch", "get", "list")},
		"selects nothing":       {role: role("x", nil, "get"), rule: &rbacv1.AggregationRule{}, ok: true},
		"nothing from nothing":  {role: role("x", nil), rule: &rbacv1.AggregationRule{}},
		"a selector is invalid": {role: role("x", nil, "get"), ok: true, rule: &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchExpressions: []metav1.LabelSelectorRequirement{{Operator: "?"}}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			c.role.AggregationRule = c.rule
			got, ok := plan(c.role, append(parts, c.role))
			if ok != c.ok {
				t.Errorf("writes: %v", ok)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
