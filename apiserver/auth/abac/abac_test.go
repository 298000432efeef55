package abac_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/coracle-k8s/coracle/apiserver/auth/abac"
)

const policy = `# comment
{"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", "spec": {"user": "alice", "namespace": "*", "resource": "*", "apiGroup": "*"}}
{"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", "spec": {"user": "bob", "namespace": "a", "resource": "pods", "readonly": true}}
{"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", "spec": {"group": "*", "readonly": true, "nonResourcePath": "/version*"}}
{"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", "spec": {"user": "carol", "group": "ops", "nonResourcePath": "/logs"}}

{"user": "old", "resource": "pods"}
`

func open(t *testing.T, text string) (*abac.Policy, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.jsonl")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return abac.Open(file)
}

func TestPolicy(t *testing.T) {
	g := NewWithT(t)
	p, err := open(t, policy)
	g.Expect(err).NotTo(HaveOccurred())
	authenticated := []string{user.AllAuthenticated}
	for name, c := range map[string]struct {
		user, verb, namespace, resource, group, path string
		groups                                       []string
		allowed                                      bool
	}{
		"everything":                  {user: "alice", verb: "delete", namespace: "x", resource: "secrets", allowed: true},
		"in any group":                {user: "alice", verb: "get", resource: "leases", group: "coordination.k8s.io", allowed: true},
		"not other paths":             {user: "alice", verb: "get", path: "/metrics"},
		"read":                        {user: "bob", verb: "list", namespace: "a", resource: "pods", allowed: true},
		"write":                       {user: "bob", verb: "create", namespace: "a", resource: "pods"},
		"another namespace":           {user: "bob", verb: "list", namespace: "b", resource: "pods"},
		"another resource":            {user: "bob", verb: "list", namespace: "a", resource: "secrets"},
		"another group of the API":    {user: "bob", verb: "list", namespace: "a", resource: "pods", group: "metrics.k8s.io"},
		"somebody":                    {user: "x", groups: authenticated, verb: "get", path: "/version", allowed: true},
		"below it":                    {user: "x", groups: authenticated, verb: "get", path: "/version/1", allowed: true},
		"* is not the anonymous user": {user: user.Anonymous, groups: []string{user.AllUnauthenticated}, verb: "get", path: "/version"},
		"user and group":              {user: "carol", groups: []string{"ops"}, verb: "get", path: "/logs", allowed: true},
		"user without the group":      {user: "carol", groups: authenticated, verb: "get", path: "/logs"},
		"group without the user":      {user: "dave", groups: []string{"ops"}, verb: "get", path: "/logs"},
		"not below an exact path":     {user: "carol", groups: []string{"ops"}, verb: "get", path: "/logs/x"},
		"the format before versions":  {user: "old", verb: "delete", namespace: "any", resource: "pods", allowed: true},
		"its other resources":         {user: "old", verb: "get", namespace: "any", resource: "secrets"},
		"nobody":                      {user: "y", verb: "get", resource: "pods"},
	} {
		d, _, err := p.Authorize(t.Context(), authorizer.AttributesRecord{
			User: &user.DefaultInfo{Name: c.user, Groups: c.groups}, Verb: c.verb, Namespace: c.namespace, Resource: c.resource, APIGroup: c.group,
			Path: c.path, ResourceRequest: c.path == "",
		})
		g.Expect(err).NotTo(HaveOccurred())
		want := authorizer.DecisionNoOpinion
		if c.allowed {
			want = authorizer.DecisionAllow
		}
		if d != want {
			t.Errorf("%s: got %v", name, d)
		}
	}
	resources, paths, incomplete, err := p.RulesFor(t.Context(), &user.DefaultInfo{Name: "bob", Groups: authenticated}, "a")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(incomplete).To(BeFalse())
	g.Expect(resources).To(HaveLen(1))
	g.Expect(resources[0].GetVerbs()).To(Equal([]string{"get", "list", "watch"}))
	g.Expect(paths).To(BeEmpty(), "as upstream: a rule without a namespace is of none")
}

func TestBadPolicies(t *testing.T) {
	for want, text := range map[string]string{
		"line 2":       "\n{",
		"unknown kind": `{"apiVersion": "abac.authorization.kubernetes.io/v1", "kind": "Policy"}`,
	} {
		if _, err := open(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", text, err)
		}
	}
	if _, err := abac.Open("/nowhere"); err == nil {
		t.Error("a missing file is no policy")
	}
}
