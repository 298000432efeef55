package apiserver_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/apiserver"
)

// rule returns a rule of a ClusterRole, of one group and resource.
func rule(group, resource string, verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}
}

// grant gives each user, who is named like its token, a ClusterRole of these rules.
func (s *server) grant(t *testing.T, roles map[string][]rbacv1.PolicyRule) {
	t.Helper()
	post := func(resource string, obj any) {
		body, err := json.Marshal(obj)
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		response, text := s.do(t, http.MethodPost, "/apis/rbac.authorization.k8s.io/v1/"+resource, "secret", string(body))
		NewWithT(t).Expect(response.StatusCode).To(Equal(http.StatusCreated), text)
	}
	for name, rules := range roles {
		role := metav1.ObjectMeta{Name: "test:" + strings.ReplaceAll(name, ":", "-")}
		post("clusterroles", rbacv1.ClusterRole{ObjectMeta: role, Rules: rules})
		post("clusterrolebindings", rbacv1.ClusterRoleBinding{ObjectMeta: role,
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}}})
	}
}

// impersonators are users by token; their ServiceAccount runs on node n1.
func impersonators(c *apiserver.Config) {
	for _, name := range []string{"info", "info-on", "info-who", "accounts", "nodes", "legacy", "nothing", "roles"} {
		c.Tokens[name] = &user.DefaultInfo{Name: name, Groups: []string{user.AllAuthenticated}}
	}
	c.Tokens["agent"] = &user.DefaultInfo{Name: "system:serviceaccount:default:agent", Groups: []string{user.AllAuthenticated},
		Extra: map[string][]string{"authentication.kubernetes.io/node-name": {"n1"}}}
}

const authn = "authentication.k8s.io"

func impersonatorRoles() map[string][]rbacv1.PolicyRule {
	listers := rule("", "pods", "list")
	return map[string][]rbacv1.PolicyRule{
		"info": {rule(authn, "users", "impersonate:user-info"), rule(authn, "groups", "impersonate:user-info"), rule(authn, "uids", "impersonate:user-info"),
			rule(authn, "userextras/example.com/k", "impersonate:user-info"), rule("", "pods", "impersonate-on:user-info:list")},
		"info-on":                             {rule("", "pods", "impersonate-on:user-info:list")},
		"info-who":                            {rule(authn, "users", "impersonate:user-info")},
		"accounts":                            {rule(authn, "serviceaccounts", "impersonate:serviceaccount"), rule("", "pods", "impersonate-on:serviceaccount:list")},
		"nodes":                               {rule(authn, "nodes", "impersonate:arbitrary-node"), rule("", "pods", "impersonate-on:arbitrary-node:list")},
		"system:serviceaccount:default:agent": {rule(authn, "nodes", "impersonate:associated-node"), rule("", "pods", "impersonate-on:associated-node:list")},
		"legacy":                              {rule("", "users", "impersonate"), rule("", "groups", "impersonate"), rule("", "serviceaccounts", "impersonate")},
		"roles":                               {rule(rbacv1.GroupName, "clusterroles", "create"), rule("", "pods", "impersonate-on:user-info:list")},
		"bob":                                 {listers},
		"system:serviceaccount:default:sa":    {listers},
	}
}

// TestConstrainedImpersonation tries each mode with and without what it takes:
// https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/.
func TestConstrainedImpersonation(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	policy, log := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "audit.log")
	g.Expect(os.WriteFile(policy, []byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n- {level: Metadata, resources: [{resources: [pods]}]}\n- {level: None}\n"), 0o600)).To(Succeed())
	s := start(t, impersonators, func(c *apiserver.Config) { c.Settings.Audit = v1alpha1.Audit{PolicyFile: policy, LogPath: log} })
	stop := sync.OnceFunc(s.Stop)
	defer stop()
	s.grant(t, impersonatorRoles())
	const pods = "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1"
	g.Eventually(func() int {
		response, _ := s.do(t, http.MethodGet, pods, "info", "", "Impersonate-User", "bob")
		return response.StatusCode
	}).Should(Equal(http.StatusOK), "the roles are known")

	for name, c := range map[string]struct {
		token  string
		as     []string
		method string
		want   string // the message of a refusal
	}{
		"a user":                             {token: "info", as: []string{"bob"}},
		"a user with all that one has":       {token: "info", as: []string{"bob", "Impersonate-Group", "g", "Impersonate-Uid", "1", "Impersonate-Extra-Example.com%2fk", "v"}},
		"other extra":                        {token: "info", as: []string{"bob", "Impersonate-Extra-Example.com%2fother", "v"}, want: `cannot impersonate:user-info resource "userextras/example.com/other" in API group "authentication.k8s.io"`},
		"extra without a domain":             {token: "info", as: []string{"bob", "Impersonate-Extra-Other", "v"}, want: "must be a domain-prefixed path"},
		"another verb":                       {token: "info", as: []string{"bob"}, method: http.MethodDelete, want: `pods is forbidden: User "info" cannot impersonate-on:user-info:deletecollection resource "pods" in API group "" at the cluster scope`},
		"masters":                            {token: "info", as: []string{"bob", "Impersonate-Group", "system:masters"}, want: "impersonating the system:masters group is not allowed"},
		"an account by user-info":            {token: "info", as: []string{"system:serviceaccount:default:sa"}, want: "cannot impersonate-on:serviceaccount:list"},
		"a node by user-info":                {token: "info", as: []string{"system:node:n1"}, want: "cannot impersonate-on:arbitrary-node:list"},
		"a user, only on pods":               {token: "info-on", as: []string{"bob"}, want: `users.authentication.k8s.io "bob" is forbidden: User "info-on" cannot impersonate:user-info resource "users" in API group "authentication.k8s.io" at the cluster scope`},
		"a user, on nothing":                 {token: "info-who", as: []string{"bob"}, want: `pods is forbidden: User "info-who" cannot impersonate-on:user-info:list resource "pods" in API group "" at the cluster scope`},
		"an account":                         {token: "accounts", as: []string{"system:serviceaccount:default:sa"}},
		"an account and a group":             {token: "accounts", as: []string{"system:serviceaccount:default:sa", "Impersonate-Group", "g"}, want: `cannot impersonate resource "serviceaccounts"`},
		"any node":                           {token: "nodes", as: []string{"system:node:n1"}},
		"the node one runs on":               {token: "agent", as: []string{"system:node:n1"}},
		"a node that one does not run on":    {token: "agent", as: []string{"system:node:n2"}, want: "cannot impersonate-on:arbitrary-node:list"},
		"a user as ever":                     {token: "legacy", as: []string{"bob"}},
		"an account as ever, and a group":    {token: "legacy", as: []string{"system:serviceaccount:default:sa", "Impersonate-Group", "g"}},
		"a user by who may nothing":          {token: "nothing", as: []string{"bob"}, want: `cannot impersonate-on:user-info:list`},
		"an administrator, who may anything": {token: "secret", as: []string{"system:node:n1"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			method := c.method
			if method == "" {
				method = http.MethodGet
			}
			response, body := s.do(t, method, pods, c.token, "", append([]string{"Impersonate-User"}, c.as...)...)
			if c.want == "" {
				g.Expect(response.StatusCode).To(Equal(http.StatusOK), body)
				return
			}
			var status metav1.Status
			g.Expect(json.Unmarshal([]byte(body), &status)).To(Succeed())
			g.Expect(response.StatusCode).To(Equal(http.StatusForbidden), body)
			g.Expect(status.Message).To(ContainSubstring(c.want))
		})
	}
	_, metrics := s.do(t, http.MethodGet, "/metrics", "secret", "")
	for _, mode := range []string{"associated-node", "arbitrary-node", "serviceaccount", "user-info", "legacy"} {
		g.Expect(metrics).To(ContainSubstring(fmt.Sprintf(`apiserver_impersonation_attempts_total{decision="allowed",mode=%q}`, mode)))
	}
	g.Expect(metrics).To(ContainSubstring(`apiserver_request_filter_duration_seconds_count{filter="constrainedimpersonation"}`))
	stop()
	g.Expect(constraints(t, log)).To(ContainElements(
		"info as bob impersonate:user-info", "accounts as system:serviceaccount:default:sa impersonate:serviceaccount", "nodes as system:node:n1 impersonate:arbitrary-node",
		"system:serviceaccount:default:agent as system:node:n1 impersonate:associated-node", "legacy as bob ", "nothing as  ",
	))
}

// constraints returns the impersonations of an audit log.
func constraints(t *testing.T, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(data)) {
		var e struct {
			User, ImpersonatedUser struct{ Username string }
			AuthenticationMetadata struct{ ImpersonationConstraint string }
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e.User.Username+" as "+e.ImpersonatedUser.Username+" "+e.AuthenticationMetadata.ImpersonationConstraint)
	}
	return all
}

// TestImpersonationVerbsInRoles checks that these verbs are verbs like others:
// access reviews answer for them, and a user cannot grant one that he does not hold.
func TestImpersonationVerbsInRoles(t *testing.T) {
	g := NewWithT(t)
	s := start(t, impersonators)
	defer s.Stop()
	s.grant(t, impersonatorRoles())
	may := func(token, verb, group, resource string) bool {
		body := fmt.Sprintf(`{"spec":{"resourceAttributes":{"verb":%q,"group":%q,"resource":%q}}}`, verb, group, resource)
		_, text := s.do(t, http.MethodPost, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", token, body)
		var review struct{ Status struct{ Allowed bool } }
		g.Expect(json.Unmarshal([]byte(text), &review)).To(Succeed())
		return review.Status.Allowed
	}
	g.Eventually(func() bool { return may("info", "impersonate:user-info", authn, "users") }).Should(BeTrue(), "the roles are known")
	g.Expect(may("info", "impersonate-on:user-info:list", "", "pods")).To(BeTrue())
	g.Expect(may("info", "impersonate-on:user-info:get", "", "pods")).To(BeFalse())
	g.Expect(may("info", "impersonate", "", "users")).To(BeFalse())

	for verb, code := range map[string]int{"impersonate-on:user-info:list": http.StatusCreated, "impersonate-on:user-info:get": http.StatusForbidden, "impersonate-on:*": http.StatusForbidden} {
		role, err := json.Marshal(rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{GenerateName: "given-"}, Rules: []rbacv1.PolicyRule{rule("", "pods", verb)}})
		g.Expect(err).NotTo(HaveOccurred())
		response, body := s.do(t, http.MethodPost, "/apis/rbac.authorization.k8s.io/v1/clusterroles", "roles", string(role))
		g.Expect(response.StatusCode).To(Equal(code), "%s: %s", verb, body)
	}
}
