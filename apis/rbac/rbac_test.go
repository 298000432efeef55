package rbac

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func check(t *testing.T, name string, errs field.ErrorList, want ...string) {
	t.Helper()
	var got []string
	for _, e := range errs {
		got = append(got, e.Error())
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s:\ngot  %q\nwant %q", name, got, want)
	}
}

func TestValidate(t *testing.T) {
	meta := metav1.ObjectMeta{Name: "system:x", Namespace: "default"}
	check(t, "no verbs", ValidateRole(&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{Resources: []string{"pods"}, APIGroups: []string{""}}}}, nil),
		"rules[0].verbs: Required value")
	check(t, "URL in a role", ValidateRole(&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{Verbs: []string{"get"}, NonResourceURLs: []string{"/x"}}}}, nil),
		`rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs`)
	binding := &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: rbacv1.RoleRef{Kind: "Role", Name: "r"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: "u"}, {Kind: "ServiceAccount", Name: "s"}}}
	setDefaults(&binding.RoleRef, binding.Subjects)
	binding.ResourceVersion = "1"
	check(t, "binding", ValidateRoleBinding(binding, nil))
	other := binding.DeepCopy()
	other.RoleRef.Name = "other"
	check(t, "roleRef", ValidateRoleBinding(other, binding),
		`roleRef: Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"Role","Name":"other"}: field is immutable`)
	cluster := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "x"}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "r"}, Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "s"}}}
	setDefaults(&cluster.RoleRef, cluster.Subjects)
	check(t, "cluster binding", ValidateClusterRoleBinding(cluster, nil), "subjects[0].namespace: Required value")
}
