// Package rbac installs, defaults and validates the rbac.authorization.k8s.io group.
//
// The API of this package is not stable: see docs/api.md.
package rbac

import (
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers rbac.authorization.k8s.io/v1, its hub and its defaults in s.
func Install(s *runtime.Scheme) error {
	if err := rbacv1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", rbacv1.SchemeGroupVersion, err)
	}
	s.AddTypeDefaultingFunc(&rbacv1.RoleBinding{}, func(obj any) {
		b := obj.(*rbacv1.RoleBinding)
		setDefaults(&b.RoleRef, b.Subjects)
	})
	s.AddTypeDefaultingFunc(&rbacv1.RoleBindingList{}, func(obj any) {
		list := obj.(*rbacv1.RoleBindingList)
		for i := range list.Items {
			setDefaults(&list.Items[i].RoleRef, list.Items[i].Subjects)
		}
	})
	s.AddTypeDefaultingFunc(&rbacv1.ClusterRoleBinding{}, func(obj any) {
		b := obj.(*rbacv1.ClusterRoleBinding)
		setDefaults(&b.RoleRef, b.Subjects)
	})
	s.AddTypeDefaultingFunc(&rbacv1.ClusterRoleBindingList{}, func(obj any) {
		list := obj.(*rbacv1.ClusterRoleBindingList)
		for i := range list.Items {
			setDefaults(&list.Items[i].RoleRef, list.Items[i].Subjects)
		}
	})
	return hub.Add(s, rbacv1.SchemeGroupVersion)
}

// setDefaults gives the role and the subjects of a binding their API groups.
func setDefaults(ref *rbacv1.RoleRef, subjects []rbacv1.Subject) {
	if ref.APIGroup == "" {
		ref.APIGroup = rbacv1.GroupName
	}
	for i := range subjects {
		if s := &subjects[i]; s.APIGroup == "" && (s.Kind == rbacv1.UserKind || s.Kind == rbacv1.GroupKind) {
			s.APIGroup = rbacv1.GroupName
		}
	}
}
