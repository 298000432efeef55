// Package role serves rbac.authorization.k8s.io/v1 Roles.
//
// The API of this package is not stable: see docs/api.md.
package role

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
	return registry.Kind[*rbacv1.Role]{
		GVK:                 rbacv1.SchemeGroupVersion.WithKind("Role"),
		Plural:              "roles",
		ClusterScoped:       false,
		New:                 func() *rbacv1.Role { return &rbacv1.Role{} },
		NewList:             func() runtime.Object { return &rbacv1.RoleList{} },
		AllowCreateOnUpdate: true,
		Validate: func(_ context.Context, b *rbacv1.Role) field.ErrorList {
			return rbac.ValidateRole(b, nil)
		},
		ValidateUpdate: registry.PureUpdate(rbac.ValidateRole),
		Extend:         extend,
		Table: &registry.Table[*rbacv1.Role]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.CreatedAt(),
			},
			Cells: func(b *rbacv1.Role, _ time.Time) []any {
				return []any{b.Name, registry.CreatedAtCell(b.CreationTimestamp)}
			},
		},
	}.Resource()
}

func extend(env registry.Env, store *genericregistry.Store, storages map[string]rest.Storage) error {
	checker, err := escalation.Checker(env)
	if err != nil {
		return err
	}
	storages[""] = escalation.Guard(store, func(ctx context.Context, obj, _ *rbacv1.Role) error { return checker.CheckRole(ctx, obj) })
	return nil
}
