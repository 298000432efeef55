// Package rolebinding serves rbac.authorization.k8s.io/v1 RoleBindings.
//
// The API of this package is not stable: see docs/api.md.
package rolebinding

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
	return registry.Kind[*rbacv1.RoleBinding]{
		GVK:                 rbacv1.SchemeGroupVersion.WithKind("RoleBinding"),
		Plural:              "rolebindings",
		ClusterScoped:       false,
		New:                 func() *rbacv1.RoleBinding { return &rbacv1.RoleBinding{} },
		NewList:             func() runtime.Object { return &rbacv1.RoleBindingList{} },
		AllowCreateOnUpdate: true,
		Validate: func(_ context.Context, b *rbacv1.RoleBinding) field.ErrorList {
			return rbac.ValidateRoleBinding(b, nil)
		},
		ValidateUpdate: registry.PureUpdate(rbac.ValidateRoleBinding),
		Extend:         extend,
		Table: &registry.Table[*rbacv1.RoleBinding]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.Column("Role"), registry.Column("Age"),
				registry.Wide(registry.Column("Users")), registry.Wide(registry.Column("Groups")), registry.Wide(registry.Column("ServiceAccounts")),
			},
			Cells: func(b *rbacv1.RoleBinding, now time.Time) []any {
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
	storages[""] = escalation.Guard(store, func(ctx context.Context, obj, _ *rbacv1.RoleBinding) error { return checker.CheckRoleBinding(ctx, obj) })
	return nil
}
