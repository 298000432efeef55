package rbac_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/tools/cache"

	"github.com/coracle-k8s/coracle/apiserver/auth/rbac"
)

func listing(list runtime.Object) cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc:  func(context.Context, metav1.ListOptions) (runtime.Object, error) { return list, nil },
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) { return watch.NewFake(), nil },
	}
}

// randomPolicy has few names, so that they meet.
func randomPolicy(r *rand.Rand) *fixed {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	subjects := func() []rbacv1.Subject {
		var out []rbacv1.Subject
		for range r.IntN(3) {
			s := rbacv1.Subject{Kind: pick("User", "Group", "ServiceAccount"), Name: pick("a", "b", "c")}
			if s.Kind == "ServiceAccount" {
				s.Namespace = pick("", "n1", "n2")
			}
			out = append(out, s)
		}
		return out
	}
	rules := func() []rbacv1.PolicyRule {
		return []rbacv1.PolicyRule{rule(pick("get", "list", "*"), pick("", "apps"), pick("pods", "secrets", "*"))}
	}
	f := &fixed{}
	for i := range 4 {
		name := string(rune('w' + i))
		f.clusterRoles = append(f.clusterRoles, rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules()})
		f.roles = append(f.roles, rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: pick("n1", "n2"), Name: name}, Rules: rules()})
	}
	for i := range 8 {
		ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: pick("Role", "ClusterRole"), Name: pick("w", "x", "y", "z")}
		f.roleBindings = append(f.roleBindings, rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: pick("n1", "n2"), Name: fmt.Sprint(i)}, RoleRef: ref, Subjects: subjects()})
		ref.Kind = "ClusterRole"
		f.clusterRoleBindings = append(f.clusterRoleBindings, rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(i)}, RoleRef: ref, Subjects: subjects()})
	}
	return f
}

// TestLiveAgainstOracle compares answers from the index with answers from a
// source that gives every binding.
func TestLiveAgainstOracle(t *testing.T) {
	g := NewWithT(t)
	for seed := range uint64(10) {
		f := randomPolicy(rand.New(rand.NewPCG(seed, 0)))
		m := metav1.ListMeta{ResourceVersion: "1"}
		live := rbac.NewLive(rbac.Watches{
			ClusterRoles:        listing(&rbacv1.ClusterRoleList{ListMeta: m, Items: f.clusterRoles}),
			Roles:               listing(&rbacv1.RoleList{ListMeta: m, Items: f.roles}),
			ClusterRoleBindings: listing(&rbacv1.ClusterRoleBindingList{ListMeta: m, Items: f.clusterRoleBindings}),
			RoleBindings:        listing(&rbacv1.RoleBindingList{ListMeta: m, Items: f.roleBindings}),
		})
		live.Reconciled()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- live.Run(ctx) }()
		fast, slow := rbac.New(live), rbac.New(f)
		for _, u := range []user.DefaultInfo{
			{Name: "a"}, {Name: "x", Groups: []string{"a", "c"}}, {Name: "b", Groups: []string{"b"}},
			{Name: "system:serviceaccount:n1:a"}, {Name: "system:serviceaccount:n2:c", Groups: []string{"c"}},
		} {
			for _, verb := range []string{"get", "list"} {
				for _, ns := range []string{"", "n1", "n2"} {
					for _, resource := range []string{"pods", "secrets"} {
						q := attrs(verb, "", resource, "", "")
						q.User, q.Namespace = &u, ns
						d1, r1, err1 := fast.Authorize(t.Context(), q)
						d2, r2, err2 := slow.Authorize(t.Context(), q)
						g.Expect(err1).NotTo(HaveOccurred())
						g.Expect(err2).NotTo(HaveOccurred())
						g.Expect(fmt.Sprint(d1, r1)).To(Equal(fmt.Sprint(d2, r2)), "seed %d %v %s %s %s", seed, u, verb, ns, resource)
					}
				}
			}
		}
		stop()
		g.Expect(<-done).To(Succeed())
	}
}
