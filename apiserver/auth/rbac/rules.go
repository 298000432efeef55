package rbac

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// RulesAllow reports whether any of the rules allows the request.
func RulesAllow(a authorizer.Attributes, rules ...rbacv1.PolicyRule) bool {
	return slices.ContainsFunc(rules, func(r rbacv1.PolicyRule) bool { return ruleAllows(a, &r) })
}

func ruleAllows(a authorizer.Attributes, rule *rbacv1.PolicyRule) bool {
	if !matches(rule.Verbs, a.GetVerb(), rbacv1.VerbAll) {
		return false
	}
	if !a.IsResourceRequest() {
		return slices.ContainsFunc(rule.NonResourceURLs, func(u string) bool { return urlMatches(u, a.GetPath()) })
	}
	return matches(rule.APIGroups, a.GetAPIGroup(), rbacv1.APIGroupAll) &&
		resourceMatches(rule.Resources, a.GetResource(), a.GetSubresource()) &&
		(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, a.GetName()))
}

func matches(allowed []string, value, all string) bool {
	return slices.ContainsFunc(allowed, func(s string) bool { return s == all || s == value })
}

// resourceMatches reports whether allowed has the resource, as "pods",
// "pods/log", "*" (everything) or "*/scale".
func resourceMatches(allowed []string, resource, subresource string) bool {
	return slices.ContainsFunc(allowed, func(s string) bool {
		if s == rbacv1.ResourceAll {
			return true
		}
		r, sub, _ := strings.Cut(s, "/")
		return sub == subresource && (r == resource || (r == "*" && sub != ""))
	})
}

// urlMatches reports whether path is allowed, which may end in "*"; no other
// "*" has a meaning.
func urlMatches(allowed, path string) bool {
	if prefix, ok := strings.CutSuffix(allowed, "*"); ok {
		return strings.HasPrefix(path, strings.TrimRight(prefix, "*"))
	}
	return allowed == path
}

// compact joins rules that differ in their verbs only, for shorter messages.
// Rules with resource names or several groups or resources stay as they are.
func compact(rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	type resource struct{ group, resource, name string }
	first := map[resource]int{}
	var out []rbacv1.PolicyRule
	for _, r := range rules {
		if len(r.APIGroups) != 1 || len(r.Resources) != 1 || len(r.ResourceNames) > 1 || len(r.NonResourceURLs) > 0 {
			out = append(out, r)
			continue
		}
		k := resource{group: r.APIGroups[0], resource: r.Resources[0], name: strings.Join(r.ResourceNames, "")}
		if at, ok := first[k]; ok {
			out[at].Verbs = append(slices.Clip(out[at].Verbs), r.Verbs...)
			continue
		}
		first[k] = len(out)
		out = append(out, r)
	}
	return out
}
