package rbac

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The default policy is written with these builders; words are separated by
// spaces, and "core" is the group without a name.

const (
	read      = "get list watch"
	write     = "create update patch delete deletecollection"
	readWrite = read + " " + write

	bootstrapLabel = "kubernetes.io/bootstrapping"
	aggregateTo    = "rbac.authorization.k8s.io/aggregate-to-"
)

func allow(verbs, groups, resources string, names ...string) rbacv1.PolicyRule {
	g := words(groups)
	for i := range g {
		if g[i] == "core" {
			g[i] = ""
		}
	}
	slices.Sort(g)
	slices.Sort(names)
	return rbacv1.PolicyRule{Verbs: words(verbs), APIGroups: g, Resources: words(resources), ResourceNames: names}
}

func urls(verbs, paths string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: words(verbs), NonResourceURLs: words(paths)}
}

// events lets a component record events in both of their groups.
func events() rbacv1.PolicyRule {
	return allow("create update patch", "core events.k8s.io", "events")
}

func words(s string) []string {
	out := strings.Fields(s)
	slices.Sort(out)
	return out
}

func meta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: namespace, Name: name,
		Labels:      map[string]string{bootstrapLabel: "rbac-defaults"},
		Annotations: map[string]string{rbacv1.AutoUpdateAnnotationKey: "true"},
	}
}

func clusterRole(name string, rules ...rbacv1.PolicyRule) rbacv1.ClusterRole {
	return rbacv1.ClusterRole{ObjectMeta: meta("", name), Rules: rules}
}

// part returns a cluster role whose rules go into the aggregated role.
func part(of, name string, rules ...rbacv1.PolicyRule) rbacv1.ClusterRole {
	r := clusterRole(name, rules...)
	r.Labels[aggregateTo+of] = "true"
	return r
}

// aggregated makes role collect the rules of all that are labelled for it.
func aggregated(role rbacv1.ClusterRole) rbacv1.ClusterRole {
	role.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{
		MatchLabels: map[string]string{aggregateTo + role.Name: "true"},
	}}}
	return role
}

func role(namespace, name string, rules ...rbacv1.PolicyRule) rbacv1.Role {
	return rbacv1.Role{ObjectMeta: meta(namespace, name), Rules: rules}
}

func bind(clusterRole string, subjects ...rbacv1.Subject) rbacv1.ClusterRoleBinding {
	return rbacv1.ClusterRoleBinding{
		ObjectMeta: meta("", clusterRole),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole},
		Subjects:   subjects,
	}
}

func bindRole(namespace, name, role string, subjects ...rbacv1.Subject) rbacv1.RoleBinding {
	return rbacv1.RoleBinding{
		ObjectMeta: meta(namespace, name),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role},
		Subjects:   subjects,
	}
}

func group(name string) rbacv1.Subject {
	return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: name}
}

func asUser(name string) rbacv1.Subject {
	return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}
}

func systemAccount(name string) rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: metav1.NamespaceSystem, Name: name}
}
