// Package clusterrolebinding serves rbac.authorization.k8s.io/v1 ClusterRoleBindings.
//
// The API of this package is not stable: see docs/api.md.
package clusterrolebinding

import (
	"context"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/coracle-k8s/coracle/apis/rbac"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/registry/rbac/escalation"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*rbacv1.ClusterRoleBinding]{
		GVK:                 rbacv1.SchemeGroupVersion.WithKind("ClusterRoleBinding"),
		Plural:              "clusterrolebindings",
		ClusterScoped:       true,
		New:                 func() *rbacv1.ClusterRoleBinding { return &rbacv1.ClusterRoleBinding{} },
		NewList:             func() runtime.Object { return &rbacv1.ClusterRoleBindingList{} },
		AllowCreateOnUpdate: true,
		Validate: func(_ context.Context, b *rbacv1.ClusterRoleBinding) field.ErrorList {
			return rbac.ValidateClusterRoleBinding(b, nil)
		},
		ValidateUpdate: registry.PureUpdate(rbac.ValidateClusterRoleBinding),
		Extend:         extend,
		Table: &registry.Table[*rbacv1.ClusterRoleBinding]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.Column("Role"), registry.Column("Age"),
				registry.Wide(registry.Column("Users")), registry.Wide(registry.Column("Groups")), registry.Wide(registry.Column("ServiceAccounts")),
			},
			Cells: func(b *rbacv1.ClusterRoleBinding, now time.Time) []any {
				return []any{b.Name, b.RoleRef.Kind + "/" + b.RoleRef.Name, registry.Age(b.CreationTimestamp, now),
					escalation.Names(b.Subjects, rbacv1.UserKind), escalation.Names(b.Subjects, rbacv1.GroupKind), escalation.Names(b.Subjects, rbacv1.ServiceAccountKind)}
			},
		},
	}.Resource()
}

func extend(env registry.Env, store *genericregistry.Store, storages map[string]rest.Storage) error {
	checker, err := escalation.Checker(env)
	if err != nil {
		return err
	}
	storages[""] = escalation.Guard(store, func(ctx context.Context, obj, _ *rbacv1.ClusterRoleBinding) error {
		return checker.CheckClusterRoleBinding(ctx, obj)
	})
	return nil
}
