package rbac_test

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/rbac"
	"github.com/coracle-k8s/coracle/test/mangle"
)

func FuzzKinds(f *testing.F) {
	mangle.Kinds(f,
		mangle.Of(func(r *rbacv1.Role) field.ErrorList { return rbac.ValidateRole(r, nil) }, rbac.ValidateRole),
		mangle.Of(func(r *rbacv1.ClusterRole) field.ErrorList { return rbac.ValidateClusterRole(r, nil) }, rbac.ValidateClusterRole),
		mangle.Of(func(b *rbacv1.RoleBinding) field.ErrorList { return rbac.ValidateRoleBinding(b, nil) }, rbac.ValidateRoleBinding),
		mangle.Of(func(b *rbacv1.ClusterRoleBinding) field.ErrorList { return rbac.ValidateClusterRoleBinding(b, nil) }, rbac.ValidateClusterRoleBinding),
	)
}
