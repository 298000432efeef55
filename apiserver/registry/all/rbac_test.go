package all

import (
	"context"
	"errors"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// strict refuses all grants when it is on, and remembers the last ClusterRole.
type strict struct {
	on   bool
	last *rbacv1.ClusterRole
}

var errGranted = errors.New("may not grant")

func (s *strict) err() error {
	if s.on {
		return errGranted
	}
	return nil
}

func (s *strict) CheckRole(context.Context, *rbacv1.Role) error               { return s.err() }
func (s *strict) CheckRoleBinding(context.Context, *rbacv1.RoleBinding) error { return s.err() }
func (s *strict) CheckClusterRole(_ context.Context, r *rbacv1.ClusterRole) error {
	s.last = r
	return s.err()
}

func (s *strict) CheckClusterRoleBinding(context.Context, *rbacv1.ClusterRoleBinding) error {
	return s.err()
}

// TestGrantsAreCheckedOnEveryUpdate changes roles and bindings as who holds none of their
// rules: only what garbage collection writes is let through. A label would make a role
// part of the one that gathers it.
func TestGrantsAreCheckedOnEveryUpdate(t *testing.T) {
	s := &strict{}
	w := newWorld(t, func(env *registry.Env) { env.Escalation = s })
	global := metav1.ObjectMeta{Name: "r"}
	ref := func(kind string) rbacv1.RoleRef {
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: "r"}
	}
	selectors := []metav1.LabelSelector{{MatchLabels: map[string]string{"a": "b"}}}
	const group = ".rbac.authorization.k8s.io"
	for resource, obj := range map[string]metav1.Object{
		"roles": &rbacv1.Role{ObjectMeta: meta("r")}, "rolebindings": &rbacv1.RoleBinding{ObjectMeta: meta("r"), RoleRef: ref("Role")},
		"clusterroles":        &rbacv1.ClusterRole{ObjectMeta: global, AggregationRule: &rbacv1.AggregationRule{ClusterRoleSelectors: selectors}},
		"clusterrolebindings": &rbacv1.ClusterRoleBinding{ObjectMeta: global, RoleRef: ref("ClusterRole")},
	} {
		s.on = false
		w.mustCreate(resource+group, obj)
		s.on = true
		for name, c := range map[string]struct {
			change  func(metav1.Object)
			allowed bool
		}{
			"nothing":    {func(metav1.Object) {}, true},
			"finalizers": {func(o metav1.Object) { o.SetFinalizers([]string{"example.com/x"}) }, true},
			"owners": {func(o metav1.Object) {
				o.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "p", UID: "u"}})
			}, true},
			"labels": {func(o metav1.Object) {
				o.SetLabels(map[string]string{"rbac.authorization.k8s.io/aggregate-to-admin": "true"})
			}, false},
			"annotations": {func(o metav1.Object) { o.SetAnnotations(map[string]string{"x": "y"}) }, false},
		} {
			_, err := w.update(resource+group, "", obj.GetNamespace(), "r", func(o runtime.Object) { c.change(o.(metav1.Object)) })
			if c.allowed != (err == nil) || err != nil && !errors.Is(err, errGranted) {
				t.Errorf("%s of %s: %v", name, resource, err)
			}
		}
	}
	_, err := w.update("clusterroles"+group, "", "", "r", func(o runtime.Object) { o.(*rbacv1.ClusterRole).AggregationRule = nil })
	if !errors.Is(err, errGranted) || s.last.AggregationRule == nil {
		t.Errorf("taking an aggregation rule back: %v, checked as %v", err, s.last.AggregationRule)
	}
}
