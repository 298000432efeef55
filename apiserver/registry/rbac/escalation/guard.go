// Package escalation guards the stores of roles and bindings: users grant only
// permissions that they hold themselves.
package escalation

import (
	"context"
	"errors"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// Checker returns the server's checker. A server that authorizes but cannot
// check is an error; one that does not authorize has nothing to check.
func Checker(env registry.Env) (registry.EscalationChecker, error) {
	if env.Escalation != nil {
		return env.Escalation, nil
	}
	if env.Authorizer != nil {
		return nil, errors.New("guarding roles: the server has an authorizer, but no escalation check")
	}
	return unchecked{}, nil
}

// unchecked is for servers without authorization.
type unchecked struct{}

func (unchecked) CheckRole(context.Context, *rbacv1.Role) error               { return nil }
func (unchecked) CheckClusterRole(context.Context, *rbacv1.ClusterRole) error { return nil }
func (unchecked) CheckRoleBinding(context.Context, *rbacv1.RoleBinding) error { return nil }
func (unchecked) CheckClusterRoleBinding(context.Context, *rbacv1.ClusterRoleBinding) error {
	return nil
}

// Check is when and what to check of one kind.
type Check[T registry.Object] struct {
	// Grants checks what an object grants.
	Grants func(ctx context.Context, obj T) error
	// Changed reports whether an update grants something else than before.
	Changed func(obj, old T) bool
}

// Guard puts the check before store's creates and updates.
func Guard[T registry.Object](store *genericregistry.Store, check Check[T]) rest.Storage {
	return &guarded[T]{Wrapped: registry.Wrapped{Store: store}, check: check}
}

type guarded[T registry.Object] struct {
	registry.Wrapped
	check Check[T]
}

// Create implements rest.Creater.
func (g *guarded[T]) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, o *metav1.CreateOptions) (runtime.Object, error) {
	if err := g.grants(ctx, obj.(T)); err != nil {
		return nil, err
	}
	return g.Store.Create(ctx, obj, validate, o)
}

// Update implements rest.Updater. An update that creates is checked as a
// create, for then the old object is empty.
func (g *guarded[T]) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc,
	update rest.ValidateObjectUpdateFunc, forceCreate bool, o *metav1.UpdateOptions) (runtime.Object, bool, error) {
	checked := rest.WrapUpdatedObjectInfo(info, func(ctx context.Context, obj, old runtime.Object) (runtime.Object, error) {
		now, was := obj.(T), old.(T)
		if was.GetUID() != "" && !g.check.Changed(now, was) {
			return obj, nil
		}
		return obj, g.grants(ctx, now)
	})
	return g.Store.Update(ctx, name, checked, create, update, forceCreate, o)
}

// grants checks obj in the namespace of the request, which an object that is
// not stored yet need not carry.
func (g *guarded[T]) grants(ctx context.Context, obj T) error {
	if obj.GetNamespace() == "" {
		if namespace := request.NamespaceValue(ctx); namespace != "" {
			obj = obj.DeepCopyObject().(T)
			obj.SetNamespace(namespace)
		}
	}
	return g.check.Grants(ctx, obj)
}

// Names returns the cell of the subjects of one kind.
func Names(subjects []rbacv1.Subject, kind string) string {
	var names []string
	for _, s := range subjects {
		switch {
		case s.Kind != kind:
		case kind == rbacv1.ServiceAccountKind:
			names = append(names, s.Namespace+"/"+s.Name)
		default:
			names = append(names, s.Name)
		}
	}
	return strings.Join(names, ", ")
}
