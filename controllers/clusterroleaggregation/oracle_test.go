package clusterroleaggregation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The rules are those of all roles but itself that a selector selects, each
// once; what is written is not written again, whatever the order of the roles.
func TestPlanAgainstAUnion(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		labels := func() map[string]string { return map[string]string{"to": fmt.Sprint(rng.IntN(3))} }
		var all []*rbacv1.ClusterRole
		for i := range 1 + rng.IntN(6) {
			var verbs []string
			for range rng.IntN(4) {
				verbs = append(verbs, []string{"get", "list", "watch", "delete"}[rng.IntN(4)])
			}
			all = append(all, role(fmt.Sprint("r", i), labels(), verbs...))
		}
		mine := all[0]
		mine.AggregationRule = &rbacv1.AggregationRule{}
		for range rng.IntN(3) {
			mine.AggregationRule.ClusterRoleSelectors = append(mine.AggregationRule.ClusterRoleSelectors, metav1.LabelSelector{MatchLabels: labels()})
		}
		want := map[string]bool{}
		for _, r := range all[1:] {
			for _, s := range mine.AggregationRule.ClusterRoleSelectors {
				if s.MatchLabels["to"] == r.Labels["to"] {
					for _, rule := range r.Rules {
						want[fmt.Sprint(rule)] = true
					}
				}
			}
		}
		got, ok := plan(mine, all)
		if ok == equality.Semantic.DeepEqual(got, mine.Rules) {
			t.Fatalf("seed %d: writes: %t", seed, ok)
		}
		if len(got) != len(want) || slices.ContainsFunc(got, func(r rbacv1.PolicyRule) bool { return !want[fmt.Sprint(r)] }) {
			t.Fatalf("seed %d: %v, want %v", seed, got, want)
		}
		mine.Rules = got
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		if again, ok := plan(mine, all); ok {
			t.Fatalf("seed %d: written again: %v after %v", seed, again, got)
		}
	}
}
