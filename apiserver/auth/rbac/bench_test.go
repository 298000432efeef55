package rbac_test

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/coracle-k8s/coracle/apiserver/auth/rbac"
)

// BenchmarkAuthorize is one request of the garbage collector's account under
// the default policy, before it is reconciled (the slower case).
func BenchmarkAuthorize(b *testing.B) {
	m := metav1.ListMeta{ResourceVersion: "1"}
	live := rbac.NewLive(rbac.Watches{
		ClusterRoles: listing(&rbacv1.ClusterRoleList{ListMeta: m}), Roles: listing(&rbacv1.RoleList{ListMeta: m}),
		ClusterRoleBindings: listing(&rbacv1.ClusterRoleBindingList{ListMeta: m}), RoleBindings: listing(&rbacv1.RoleBindingList{ListMeta: m}),
	})
	go func() { _ = live.Run(b.Context()) }()
	a := rbac.New(live)
	q := attrs("delete", "apps", "deployments", "", "x")
	q.User, q.Namespace = &user.DefaultInfo{Name: "system:serviceaccount:kube-system:generic-garbage-collector", Groups: []string{"system:authenticated"}}, "default"
	for b.Loop() {
		if _, _, err := a.Authorize(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
}
