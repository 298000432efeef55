// Package abac authorizes by a policy file, a JSON object a line:
// https://kubernetes.io/docs/reference/access-authn-authz/abac/.
//
// The API of this package is not stable: see docs/api.md.
package abac

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// spec is one rule, the spec of a Policy of abac.authorization.kubernetes.io/v1beta1.
type spec struct {
	User            string `json:"user,omitempty"`
	Group           string `json:"group,omitempty"`
	Readonly        bool   `json:"readonly,omitempty"`
	APIGroup        string `json:"apiGroup,omitempty"`
	Resource        string `json:"resource,omitempty"`
	Namespace       string `json:"namespace,omitempty"`
	NonResourcePath string `json:"nonResourcePath,omitempty"`
}

// Version and kind of a Policy.
const (
	version = "abac.authorization.kubernetes.io/v1beta1"
	kind    = "Policy"
)

// Policy allows what one of its rules does, and has no opinion on the rest.
type Policy struct{ rules []spec }

var (
	_ authorizer.Authorizer   = &Policy{}
	_ authorizer.RuleResolver = &Policy{}
)

// Open reads a policy file. Empty lines and those that begin with # are passed over.
func Open(path string) (*Policy, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the ABAC policy: %w", err)
	}
	p := &Policy{}
	for i, line := range bytes.Split(data, []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		rule, err := parse(line)
		if err != nil {
			return nil, fmt.Errorf("reading the ABAC policy %s, line %d: %w", path, i+1, err)
		}
		p.rules = append(p.rules, rule)
	}
	return p, nil
}

func parse(line []byte) (spec, error) {
	var policy struct {
		metav1.TypeMeta
		Spec spec `json:"spec"`
	}
	if err := json.Unmarshal(line, &policy); err != nil {
		return spec{}, err
	}
	if policy.APIVersion == "" && policy.Kind == "" {
		return parseUnversioned(line)
	}
	if policy.APIVersion != version || policy.Kind != kind {
		return spec{}, fmt.Errorf("unknown kind %s of %s, expected %s of %s", policy.Kind, policy.APIVersion, kind, version)
	}
	out := policy.Spec
	if out.User == "*" || out.Group == "*" { // not the anonymous user
		out.User, out.Group = "", user.AllAuthenticated
	}
	return out, nil
}

// parseUnversioned reads a rule of the format before versions, which upstream
// still takes. Without a user it applies to every authenticated user, without a
// resource to every resource, and without either also to all other paths.
func parseUnversioned(line []byte) (spec, error) {
	rule := spec{}
	if err := json.Unmarshal(line, &rule); err != nil {
		return spec{}, err
	}
	out := spec{User: rule.User, Group: rule.Group, Readonly: rule.Readonly, Resource: rule.Resource, Namespace: rule.Namespace, APIGroup: "*"}
	if out.User == "" && out.Group == "" || out.User == "*" || out.Group == "*" {
		out.User, out.Group = "", user.AllAuthenticated
	}
	if out.Namespace == "" {
		out.Namespace = "*"
	}
	if out.Resource == "" {
		out.Resource = "*"
		if rule.Namespace == "" {
			out.NonResourcePath = "*"
		}
	}
	return out, nil
}

// covers reports whether the rule is about the user: each of user and group that
// is named must match, and one must be named.
func (s spec) covers(u user.Info) bool {
	if u == nil || s.User == "" && s.Group == "" {
		return false
	}
	return (s.User == "" || s.User == u.GetName()) && (s.Group == "" || slices.Contains(u.GetGroups(), s.Group))
}

func (s spec) allows(a authorizer.Attributes) bool {
	if !s.covers(a.GetUser()) || s.Readonly && !a.IsReadOnly() {
		return false
	}
	matches := func(want, have string) bool { return want == "*" || want == have }
	if a.IsResourceRequest() {
		return matches(s.Namespace, a.GetNamespace()) && matches(s.Resource, a.GetResource()) && matches(s.APIGroup, a.GetAPIGroup())
	}
	prefix, below := strings.CutSuffix(s.NonResourcePath, "*")
	return s.NonResourcePath == a.GetPath() || below && strings.HasPrefix(a.GetPath(), prefix)
}

// Authorize implements authorizer.Authorizer.
func (p *Policy) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if slices.ContainsFunc(p.rules, func(s spec) bool { return s.allows(a) }) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "No policy matched.", nil
}

// ConditionsAwareAuthorize implements authorizer.Authorizer.
func (p *Policy) ConditionsAwareAuthorize(ctx context.Context, a authorizer.Attributes) authorizer.ConditionsAwareDecision {
	return authorizer.ConditionsAwareDecisionFromParts(p.Authorize(ctx, a))
}

// EvaluateConditions implements authorizer.Authorizer.
func (p *Policy) EvaluateConditions(context.Context, authorizer.ConditionsAwareDecision, authorizer.ConditionsData) (authorizer.Decision, string, error) {
	return authorizer.DecisionDeny, "", authorizer.ErrorConditionEvaluationNotSupported
}

// RulesFor implements authorizer.RuleResolver.
func (p *Policy) RulesFor(_ context.Context, u user.Info, namespace string) ([]authorizer.ResourceRuleInfo, []authorizer.NonResourceRuleInfo, bool, error) {
	var resources []authorizer.ResourceRuleInfo
	var paths []authorizer.NonResourceRuleInfo
	for _, s := range p.rules {
		if !s.covers(u) || s.Namespace != "*" && s.Namespace != namespace {
			continue
		}
		verbs := []string{"*"}
		if s.Readonly {
			verbs = []string{"get", "list", "watch"}
		}
		if s.Resource != "" {
			resources = append(resources, &authorizer.DefaultResourceRuleInfo{Verbs: verbs, APIGroups: []string{s.APIGroup}, Resources: []string{s.Resource}})
		}
		if s.NonResourcePath != "" {
			paths = append(paths, &authorizer.DefaultNonResourceRuleInfo{Verbs: verbs, NonResourceURLs: []string{s.NonResourcePath}})
		}
	}
	return resources, paths, false, nil
}
