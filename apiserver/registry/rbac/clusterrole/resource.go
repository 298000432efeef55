// Package clusterrole serves rbac.authorization.k8s.io/v1 ClusterRoles.
//
// The API of this package is not stable: see docs/api.md.
package clusterrole

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
	return registry.Kind[*rbacv1.ClusterRole]{
		GVK:                 rbacv1.SchemeGroupVersion.WithKind("ClusterRole"),
		Plural:              "clusterroles",
		ClusterScoped:       true,
		New:                 func() *rbacv1.ClusterRole { return &rbacv1.ClusterRole{} },
		NewList:             func() runtime.Object { return &rbacv1.ClusterRoleList{} },
		AllowCreateOnUpdate: true,
		Validate: func(_ context.Context, b *rbacv1.ClusterRole) field.ErrorList {
			return rbac.ValidateClusterRole(b, nil)
		},
		ValidateUpdate: registry.PureUpdate(rbac.ValidateClusterRole),
		Extend:         extend,
		Table: &registry.Table[*rbacv1.ClusterRole]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.CreatedAt(),
			},
			Cells: func(b *rbacv1.ClusterRole, _ time.Time) []any {
				return []any{b.Name, registry.CreatedAtCell(b.CreationTimestamp)}
			},
		},
	}.Resource()
}

// aggregates reports whether a role gathers the rules of others; r may be nil.
func aggregates(r *rbacv1.ClusterRole) bool {
	return r != nil && r.AggregationRule != nil && len(r.AggregationRule.ClusterRoleSelectors) > 0
}

func extend(env registry.Env, store *genericregistry.Store, storages map[string]rest.Storage) error {
	checker, err := escalation.Checker(env)
	if err != nil {
		return err
	}
	storages[""] = escalation.Guard(store, func(ctx context.Context, r, old *rbacv1.ClusterRole) error {
		if !aggregates(r) && aggregates(old) { // taking it back is as much as giving it
			r = r.DeepCopy()
			r.AggregationRule = old.AggregationRule
		}
		return checker.CheckClusterRole(ctx, r)
	})
	return nil
}
