// Package escalation guards the stores of roles and bindings: users grant only
// permissions that they hold themselves.
//
// The API of this package is not stable: see docs/api.md.
package escalation

import (
	"context"
	"errors"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
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

// Grants checks what an object grants; old is what an update replaces, the zero T on
// creation.
type Grants[T registry.Object] func(ctx context.Context, obj, old T) error

// Guard puts the check before store's creates and updates. As in upstream, updates are
// checked that change anything but what garbage collection needs: labels may make a
// role part of another one.
func Guard[T registry.Object](store *genericregistry.Store, grants Grants[T]) rest.Storage {
	return &guarded[T]{Wrapped: registry.Wrapped{Store: store}, grants: grants}
}

type guarded[T registry.Object] struct {
	registry.Wrapped
	grants Grants[T]
}

// Create implements rest.Creater.
func (g *guarded[T]) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, o *metav1.CreateOptions) (runtime.Object, error) {
	var none T
	if err := g.check(ctx, obj.(T), none); err != nil {
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
		if onlyCollecting(now, was) {
			return obj, nil
		}
		return obj, g.check(ctx, now, was)
	})
	return g.Store.Update(ctx, name, checked, create, update, forceCreate, o)
}

// onlyCollecting reports whether objects differ in nothing but what garbage collection
// writes: owners and finalizers.
func onlyCollecting[T registry.Object](now, was T) bool {
	same := now.DeepCopyObject().(T)
	same.SetOwnerReferences(was.GetOwnerReferences())
	same.SetFinalizers(was.GetFinalizers())
	same.SetManagedFields(was.GetManagedFields())
	return equality.Semantic.DeepEqual(same, was)
}

// check looks at obj in the namespace of the request, which an object that is
// not stored yet need not carry.
func (g *guarded[T]) check(ctx context.Context, obj, old T) error {
	if obj.GetNamespace() == "" {
		if namespace := request.NamespaceValue(ctx); namespace != "" {
			obj = obj.DeepCopyObject().(T)
			obj.SetNamespace(namespace)
		}
	}
	return g.grants(ctx, obj, old)
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
