package rbac_test

import (
	"context"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"

	"github.com/coracle-k8s/coracle/apiserver/auth/rbac"
)

// fixed is a Source of what it holds.
type fixed struct {
	clusterRoles        []rbacv1.ClusterRole
	roles               []rbacv1.Role
	clusterRoleBindings []rbacv1.ClusterRoleBinding
	roleBindings        []rbacv1.RoleBinding
}

func (f *fixed) Sync(context.Context) error { return nil }

func (f *fixed) ClusterRole(name string) (*rbacv1.ClusterRole, bool) {
	for i := range f.clusterRoles {
		if f.clusterRoles[i].Name == name {
			return &f.clusterRoles[i], true
		}
	}
	return nil, false
}

func (f *fixed) Role(namespace, name string) (*rbacv1.Role, bool) {
	for i := range f.roles {
		if f.roles[i].Name == name && f.roles[i].Namespace == namespace {
			return &f.roles[i], true
		}
	}
	return nil, false
}

func (f *fixed) ClusterRoleBindings(user.Info) []*rbacv1.ClusterRoleBinding {
	var out []*rbacv1.ClusterRoleBinding
	for i := range f.clusterRoleBindings {
		out = append(out, &f.clusterRoleBindings[i])
	}
	return out
}

func (f *fixed) RoleBindings(namespace string, _ user.Info) []*rbacv1.RoleBinding {
	var out []*rbacv1.RoleBinding
	for i := range f.roleBindings {
		if f.roleBindings[i].Namespace == namespace {
			out = append(out, &f.roleBindings[i])
		}
	}
	return out
}

func rule(verbs, groups, resources string, names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: strings.Split(verbs, ","), APIGroups: strings.Split(groups, ","), Resources: strings.Split(resources, ","), ResourceNames: names}
}

func attrs(verb, group, resource, sub, name string) authorizer.AttributesRecord {
	return authorizer.AttributesRecord{User: &user.DefaultInfo{Name: "u"}, Verb: verb, APIGroup: group, Resource: resource, Subresource: sub, Name: name, ResourceRequest: true}
}

func TestRulesAllow(t *testing.T) {
	path := func(p string) authorizer.AttributesRecord { return authorizer.AttributesRecord{Verb: "get", Path: p} }
	for name, tc := range map[string]struct {
		rule rbacv1.PolicyRule
		ask  authorizer.AttributesRecord
		want bool
	}{
		"exact":                          {rule("get", "", "pods"), attrs("get", "", "pods", "", "x"), true},
		"other verb":                     {rule("get", "", "pods"), attrs("list", "", "pods", "", ""), false},
		"other group":                    {rule("get", "apps", "pods"), attrs("get", "", "pods", "", "x"), false},
		"resource is not its subs":       {rule("get", "", "pods"), attrs("get", "", "pods", "log", "x"), false},
		"sub":                            {rule("get", "", "pods/log"), attrs("get", "", "pods", "log", "x"), true},
		"all is also subs":               {rule("*", "*", "*"), attrs("get", "", "pods", "log", "x"), true},
		"any scale":                      {rule("get", "*", "*/scale"), attrs("get", "apps", "deployments", "scale", "x"), true},
		"any scale is no resource":       {rule("get", "*", "*/scale"), attrs("get", "apps", "deployments", "", "x"), false},
		"named":                          {rule("get", "", "pods", "x"), attrs("get", "", "pods", "", "x"), true},
		"named otherwise":                {rule("get", "", "pods", "x"), attrs("get", "", "pods", "", "y"), false},
		"named does not list":            {rule("list", "", "pods", "x"), attrs("list", "", "pods", "", ""), false},
		"url":                            {rbacv1.PolicyRule{Verbs: []string{"get"}, NonResourceURLs: []string{"/livez"}}, path("/livez"), true},
		"url prefix":                     {rbacv1.PolicyRule{Verbs: []string{"get"}, NonResourceURLs: []string{"/api/*"}}, path("/api/v1"), true},
		"url not below":                  {rbacv1.PolicyRule{Verbs: []string{"get"}, NonResourceURLs: []string{"/livez"}}, path("/livez/etcd"), false},
		"resource rule is not for paths": {rule("*", "*", "*"), path("/metrics"), false},
	} {
		if got := rbac.RulesAllow(tc.ask, tc.rule); got != tc.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func example() *fixed {
	ref := func(kind, name string) rbacv1.RoleRef {
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
	}
	return &fixed{
		clusterRoles: []rbacv1.ClusterRole{
			{ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Rules: []rbacv1.PolicyRule{rule("get,list", "", "pods")}},
			{ObjectMeta: metav1.ObjectMeta{Name: "binder"}, Rules: []rbacv1.PolicyRule{rule("bind", rbacv1.GroupName, "clusterroles", "secret-reader")}},
			{ObjectMeta: metav1.ObjectMeta{Name: "secret-reader"}, Rules: []rbacv1.PolicyRule{rule("get", "", "secrets")}},
		},
		roles: []rbacv1.Role{{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "writer"}, Rules: []rbacv1.PolicyRule{rule("create", "", "pods")}}},
		clusterRoleBindings: []rbacv1.ClusterRoleBinding{
			{ObjectMeta: metav1.ObjectMeta{Name: "readers"}, RoleRef: ref("ClusterRole", "reader"), Subjects: []rbacv1.Subject{{Kind: "Group", Name: "devs"}}},
			{ObjectMeta: metav1.ObjectMeta{Name: "binders"}, RoleRef: ref("ClusterRole", "binder"), Subjects: []rbacv1.Subject{{Kind: "User", Name: "bob"}}},
			{ObjectMeta: metav1.ObjectMeta{Name: "broken"}, RoleRef: ref("ClusterRole", "gone"), Subjects: []rbacv1.Subject{{Kind: "User", Name: "eve"}}},
		},
		roleBindings: []rbacv1.RoleBinding{
			{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "writers"}, RoleRef: ref("Role", "writer"), Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "sa"}}},
		},
	}
}

func TestAuthorize(t *testing.T) {
	a := rbac.New(example())
	for name, tc := range map[string]struct {
		user     user.DefaultInfo
		verb, ns string
		want     authorizer.Decision
		reason   string
	}{
		"masters":         {user.DefaultInfo{Groups: []string{"system:masters"}}, "delete", "a", authorizer.DecisionAllow, ""},
		"group":           {user.DefaultInfo{Name: "x", Groups: []string{"devs"}}, "get", "b", authorizer.DecisionAllow, `RBAC: allowed by ClusterRoleBinding "readers" of ClusterRole "reader" to Group "devs"`},
		"service account": {user.DefaultInfo{Name: "system:serviceaccount:a:sa"}, "create", "a", authorizer.DecisionAllow, `RBAC: allowed by RoleBinding "writers/a" of Role "writer" to ServiceAccount "sa/a"`},
		"elsewhere":       {user.DefaultInfo{Name: "system:serviceaccount:a:sa"}, "create", "b", authorizer.DecisionNoOpinion, ""},
		"broken":          {user.DefaultInfo{Name: "eve"}, "get", "a", authorizer.DecisionNoOpinion, `RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found`},
	} {
		ask := attrs(tc.verb, "", "pods", "", "")
		ask.User, ask.Namespace = &tc.user, tc.ns
		got, reason, err := a.Authorize(t.Context(), ask)
		if got != tc.want || reason != tc.reason || err != nil {
			t.Errorf("%s: %v %q %v", name, got, reason, err)
		}
	}
	resources, urls, incomplete, err := a.RulesFor(t.Context(), &user.DefaultInfo{Groups: []string{"devs"}}, "a")
	if len(resources) != 1 || len(urls) != 0 || incomplete || err != nil {
		t.Errorf("rules for devs: %v %v %v %v", resources, urls, incomplete, err)
	}
}

func TestEscalation(t *testing.T) {
	g := NewWithT(t)
	a := rbac.New(example())
	check := rbac.EscalationChecker{Authorizer: a, Resolver: a.Resolver()}
	as := func(u user.DefaultInfo) context.Context { return request.WithUser(t.Context(), &u) }
	dev, bob, root := as(user.DefaultInfo{Name: "d", Groups: []string{"devs"}}), as(user.DefaultInfo{Name: "bob"}), as(user.DefaultInfo{Groups: []string{"system:masters"}})

	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "r"}, Rules: []rbacv1.PolicyRule{rule("list,get", "", "pods")}}
	g.Expect(check.CheckRole(dev, role)).To(Succeed())
	role.Rules = append(role.Rules, rule("get,list", "", "secrets"))
	g.Expect(check.CheckRole(root, role)).To(Succeed())
	err := check.CheckRole(dev, role)
	g.Expect(apierrors.IsForbidden(err)).To(BeTrue())
	g.Expect(err.Error()).To(Equal("roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"d\" (groups=[\"devs\"]) is attempting to grant RBAC permissions not currently held:\n" +
		`{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}`))

	// A rule with names of resources counts for requests whose path has the name: no POST.
	named := authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		if a.GetVerb() == "escalate" && a.GetName() == "r" {
			return authorizer.DecisionAllow, "", nil
		}
		return authorizer.DecisionNoOpinion, "", nil
	})
	escalating := rbac.EscalationChecker{Authorizer: named, Resolver: a.Resolver()}
	clusterRole := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Rules: role.Rules}
	for path, allowed := range map[string]bool{"": false, "r": true, "x": false} {
		ctx := request.WithRequestInfo(dev, &request.RequestInfo{Name: path})
		g.Expect(escalating.CheckRole(ctx, role) == nil).To(Equal(allowed), "role, %q", path)
		g.Expect(escalating.CheckClusterRole(ctx, clusterRole) == nil).To(Equal(allowed), "cluster role, %q", path)
	}

	g.Expect(check.CheckClusterRole(dev, &rbacv1.ClusterRole{AggregationRule: &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{}}}})).
		To(MatchError(ContainSubstring("must have cluster-admin privileges to use the aggregationRule")))

	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "secret-reader"}}
	g.Expect(check.CheckClusterRoleBinding(bob, binding)).To(Succeed(), "bob has bind")
	g.Expect(apierrors.IsForbidden(check.CheckClusterRoleBinding(dev, binding))).To(BeTrue())
	binding.RoleRef.Name = "gone"
	g.Expect(check.CheckClusterRoleBinding(dev, binding)).To(MatchError(`clusterrolebindings.rbac.authorization.k8s.io "gone" not found`))
	for name, want := range map[string]string{"": "Name parameter required.", "..": `Name parameter invalid: "..": may not be '..'`, "a/b%": `Name parameter invalid: "a/b%": may not contain '/';may not contain '%'`} {
		binding := binding.DeepCopy()
		binding.RoleRef.Name = name
		err := check.CheckClusterRoleBinding(dev, binding)
		g.Expect(err).To(MatchError(want))
		g.Expect(apierrors.IsBadRequest(err)).To(BeTrue())
	}
}

var rewrite = flag.Bool("rewrite", false, "write the golden file again")

func TestDefaultPolicyGolden(t *testing.T) {
	var out strings.Builder
	rules := func(kind, name string, rules []rbacv1.PolicyRule, extra string) {
		out.WriteString(kind + " " + name + extra + "\n")
		for _, r := range rules {
			out.WriteString("  " + strings.Join(r.Verbs, ",") + " " + strings.Join(r.APIGroups, ",") + "/" + strings.Join(append(r.Resources, r.NonResourceURLs...), ","))
			if len(r.ResourceNames) > 0 {
				out.WriteString(" named " + strings.Join(r.ResourceNames, ","))
			}
			out.WriteString("\n")
		}
	}
	subjects := func(kind, name string, ref rbacv1.RoleRef, subjects []rbacv1.Subject) {
		out.WriteString(kind + " " + name + " -> " + ref.Kind + " " + ref.Name + ":")
		for _, s := range subjects {
			out.WriteString(" " + s.Kind + "/" + s.Name)
		}
		out.WriteString("\n")
	}
	for _, r := range rbac.ClusterRoles() {
		extra := ""
		if r.AggregationRule != nil {
			b, _ := yaml.Marshal(r.AggregationRule.ClusterRoleSelectors[0].MatchLabels)
			extra = " collects " + strings.TrimSpace(string(b))
		}
		rules("ClusterRole", r.Name, r.Rules, extra)
	}
	for _, r := range rbac.Roles() {
		rules("Role", r.Namespace+"/"+r.Name, r.Rules, "")
	}
	for _, b := range rbac.ClusterRoleBindings() {
		subjects("ClusterRoleBinding", b.Name, b.RoleRef, b.Subjects)
	}
	for _, b := range rbac.RoleBindings() {
		subjects("RoleBinding", b.Namespace+"/"+b.Name, b.RoleRef, b.Subjects)
	}
	const file = "testdata/policy.golden"
	if *rewrite {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestReconcile(t *testing.T) {
	g := NewWithT(t)
	scheme := runtime.NewScheme()
	g.Expect(rbacv1.AddToScheme(scheme)).To(Succeed())
	g.Expect(corev1.AddToScheme(scheme)).To(Succeed())
	c := fake.NewClientBuilder().WithScheme(scheme).Build()
	ctx := t.Context()
	g.Expect(rbac.Reconcile(ctx, c)).To(Succeed())

	get := func(obj client.Object, name string) {
		g.Expect(c.Get(ctx, client.ObjectKey{Name: name}, obj)).To(Succeed())
	}
	var admin, discovery, basic rbacv1.ClusterRole
	get(&admin, "admin")
	g.Expect(admin.Rules).To(ContainElement(HaveField("Resources", ContainElement("rolebindings"))), "aggregated over two levels")
	g.Expect(admin.Rules).To(ContainElement(HaveField("Resources", ContainElement("pods/log"))))

	// Rules that users added stay, what is missing comes back, opting out is heeded.
	get(&discovery, "system:discovery")
	discovery.Rules = []rbacv1.PolicyRule{{Verbs: []string{"get"}, NonResourceURLs: []string{"/mine"}}}
	g.Expect(c.Update(ctx, &discovery)).To(Succeed())
	get(&basic, "system:basic-user")
	basic.Rules, basic.Annotations = nil, map[string]string{rbacv1.AutoUpdateAnnotationKey: "false"}
	g.Expect(c.Update(ctx, &basic)).To(Succeed())
	var binding rbacv1.ClusterRoleBinding
	get(&binding, "system:discovery")
	binding.RoleRef.Name = "other"
	g.Expect(c.Delete(ctx, binding.DeepCopy())).To(Succeed())
	binding.ResourceVersion, binding.UID = "", ""
	g.Expect(c.Create(ctx, &binding)).To(Succeed())

	g.Expect(rbac.Reconcile(ctx, c)).To(Succeed())
	get(&discovery, "system:discovery")
	g.Expect(discovery.Rules).To(ContainElements(HaveField("NonResourceURLs", Equal([]string{"/mine"})), HaveField("NonResourceURLs", Equal([]string{"/livez"}))))
	get(&basic, "system:basic-user")
	g.Expect(basic.Rules).To(BeEmpty())
	get(&binding, "system:discovery")
	g.Expect(binding.RoleRef.Name).To(Equal("system:discovery"))
	version := discovery.ResourceVersion
	g.Expect(rbac.Reconcile(ctx, c)).To(Succeed())
	get(&discovery, "system:discovery")
	g.Expect(discovery.ResourceVersion).To(Equal(version), "nothing left to write")
}
