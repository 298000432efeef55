package authz_test

import (
	"context"
	"errors"
	"testing"

	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/tools/cache"

	"github.com/coracle-k8s/coracle/apiserver/auth/authz"
	"github.com/coracle-k8s/coracle/apiserver/auth/rbac"
)

func empty(list runtime.Object) cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc:  func(context.Context, metav1.ListOptions) (runtime.Object, error) { return list, nil },
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) { return watch.NewFake(), nil },
	}
}

func TestDefaultPolicyBeforeReconciling(t *testing.T) {
	defer goleak.VerifyNone(t)
	g := NewWithT(t)
	meta := metav1.ListMeta{ResourceVersion: "1"}
	live := rbac.NewLive(rbac.Watches{
		ClusterRoles:        empty(&rbacv1.ClusterRoleList{ListMeta: meta}),
		Roles:               empty(&rbacv1.RoleList{ListMeta: meta}),
		ClusterRoleBindings: empty(&rbacv1.ClusterRoleBindingList{ListMeta: meta}),
		RoleBindings:        empty(&rbacv1.RoleBindingList{ListMeta: meta}),
	})
	a, rules, err := authz.New(authz.Config{RBAC: rbac.New(live)})
	g.Expect(err).NotTo(HaveOccurred())
	ask := func(ctx context.Context, u user.DefaultInfo, verb, group, resource string) (authorizer.Decision, error) {
		d, _, err := a.Authorize(ctx, authorizer.AttributesRecord{User: &u, Verb: verb, APIGroup: group, Resource: resource, ResourceRequest: true})
		return d, err
	}
	// Nothing runs yet: masters need nothing, others wait.
	d, err := ask(t.Context(), user.DefaultInfo{Groups: []string{"system:masters"}}, "delete", "", "nodes")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(d).To(Equal(authorizer.DecisionAllow))
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the client went away"))
	d, _ = ask(ended, user.DefaultInfo{Name: "system:kube-scheduler"}, "list", "", "pods")
	g.Expect(d).To(Equal(authorizer.DecisionNoOpinion))

	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- live.Run(ctx) }()
	scheduler := user.DefaultInfo{Name: "system:kube-scheduler"}
	d, _ = ask(t.Context(), scheduler, "list", "", "pods")
	g.Expect(d).To(Equal(authorizer.DecisionAllow), "built-in until reconciled")
	d, _ = ask(t.Context(), scheduler, "list", "", "secrets")
	g.Expect(d).To(Equal(authorizer.DecisionNoOpinion))
	gc := user.DefaultInfo{Name: "system:serviceaccount:kube-system:generic-garbage-collector"}
	d, _ = ask(t.Context(), gc, "delete", "apps", "deployments")
	g.Expect(d).To(Equal(authorizer.DecisionAllow))
	_, urls, _, err := rules.RulesFor(t.Context(), &user.DefaultInfo{Name: "x", Groups: []string{"system:authenticated"}}, "default")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(urls).NotTo(BeEmpty())

	live.Reconciled()
	d, _ = ask(t.Context(), scheduler, "list", "", "pods")
	g.Expect(d).To(Equal(authorizer.DecisionNoOpinion), "it was deleted")
	stop()
	g.Expect(<-done).To(Succeed())
}
