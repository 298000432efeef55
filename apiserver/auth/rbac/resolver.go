package rbac

import (
	"cmp"
	"context"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// Resolver finds the rules that apply to a user.
type Resolver struct {
	source Source
}

// NewResolver makes a Resolver over source.
func NewResolver(source Source) *Resolver { return &Resolver{source: source} }

// grant is one rule and where the user has it from. The fields are kept apart
// because a reason is made for the one grant that allows, not for all tried.
type grant struct {
	rule              *rbacv1.PolicyRule
	binding, bindName string
	roleRef           *rbacv1.RoleRef
	subject           *rbacv1.Subject
	namespace         string
}

// String has upstream's words, which audit logs show.
func (g grant) String() string {
	return fmt.Sprintf("%s %q of %s %q to %s", g.binding, g.bindName, g.roleRef.Kind, g.roleRef.Name, describe(g.subject, g.namespace))
}

func describe(s *rbacv1.Subject, namespace string) string {
	if s.Kind == rbacv1.ServiceAccountKind {
		return fmt.Sprintf("%s %q", s.Kind, s.Name+"/"+cmp.Or(s.Namespace, namespace))
	}
	return fmt.Sprintf("%s %q", s.Kind, s.Name)
}

// visit calls f for each rule that applies to u, cluster-wide ones first, until
// f returns false. It returns what could not be resolved: the rules visited
// hold all the same.
func (r *Resolver) visit(ctx context.Context, u user.Info, namespace string, f func(grant) bool) []error {
	if err := r.source.Sync(ctx); err != nil {
		return []error{fmt.Errorf("reading roles: %w", err)}
	}
	var errs []error
	for _, b := range r.source.ClusterRoleBindings(u) {
		subject, ok := applies(u, b.Subjects, "")
		if !ok {
			continue
		}
		rules, err := r.rules(b.RoleRef, "")
		if err != nil {
			errs = append(errs, err)
			continue
		}
		g := grant{binding: "ClusterRoleBinding", bindName: b.Name, roleRef: &b.RoleRef, subject: subject}
		if !g.each(rules, f) {
			return errs
		}
	}
	if namespace == "" {
		return errs
	}
	for _, b := range r.source.RoleBindings(namespace, u) {
		subject, ok := applies(u, b.Subjects, namespace)
		if !ok {
			continue
		}
		rules, err := r.rules(b.RoleRef, namespace)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		g := grant{binding: "RoleBinding", bindName: b.Name + "/" + b.Namespace, roleRef: &b.RoleRef, subject: subject, namespace: namespace}
		if !g.each(rules, f) {
			return errs
		}
	}
	return errs
}

func (g grant) each(rules []rbacv1.PolicyRule, f func(grant) bool) bool {
	for i := range rules {
		g.rule = &rules[i]
		if !f(g) {
			return false
		}
	}
	return true
}

// rules gives the rules of the role that a binding in namespace refers to.
func (r *Resolver) rules(ref rbacv1.RoleRef, namespace string) ([]rbacv1.PolicyRule, error) {
	switch ref.Kind {
	case "Role":
		if role, ok := r.source.Role(namespace, ref.Name); ok {
			return role.Rules, nil
		}
		return nil, apierrors.NewNotFound(rbacv1.Resource("role"), ref.Name)
	case "ClusterRole":
		if role, ok := r.source.ClusterRole(ref.Name); ok {
			return role.Rules, nil
		}
		return nil, apierrors.NewNotFound(rbacv1.Resource("clusterrole"), ref.Name)
	}
	return nil, fmt.Errorf("unsupported role reference kind: %q", ref.Kind)
}

// RoleRules gives the rules of the role that a binding in namespace (empty for
// a ClusterRoleBinding) refers to.
func (r *Resolver) RoleRules(ctx context.Context, ref rbacv1.RoleRef, namespace string) ([]rbacv1.PolicyRule, error) {
	if err := r.source.Sync(ctx); err != nil {
		return nil, fmt.Errorf("reading roles: %w", err)
	}
	return r.rules(ref, namespace)
}

// Rules gives all rules that apply to u in namespace and cluster-wide; they
// hold even if there is an error too.
func (r *Resolver) Rules(ctx context.Context, u user.Info, namespace string) ([]rbacv1.PolicyRule, error) {
	var rules []rbacv1.PolicyRule
	errs := r.visit(ctx, u, namespace, func(g grant) bool {
		rules = append(rules, *g.rule)
		return true
	})
	return rules, utilerrors.NewAggregate(errs)
}

// Authorizer decides by RBAC. Members of system:masters are allowed without
// any look-up.
type Authorizer struct {
	resolver *Resolver
}

var (
	_ authorizer.Authorizer   = &Authorizer{}
	_ authorizer.RuleResolver = &Authorizer{}
)

// New makes an Authorizer over source.
func New(source Source) *Authorizer { return &Authorizer{resolver: NewResolver(source)} }

// Resolver gives the Resolver that the Authorizer asks.
func (a *Authorizer) Resolver() *Resolver { return a.resolver }

// Authorize implements authorizer.Authorizer.
func (a *Authorizer) Authorize(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	if isMaster(attrs.GetUser()) {
		return authorizer.DecisionAllow, "", nil
	}
	var allowed *grant
	errs := a.resolver.visit(ctx, attrs.GetUser(), attrs.GetNamespace(), func(g grant) bool {
		if ruleAllows(attrs, g.rule) {
			allowed = &g
		}
		return allowed == nil
	})
	if allowed != nil {
		return authorizer.DecisionAllow, "RBAC: allowed by " + allowed.String(), nil
	}
	if err := utilerrors.NewAggregate(errs); err != nil {
		return authorizer.DecisionNoOpinion, fmt.Sprintf("RBAC: %v", err), nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// ConditionsAwareAuthorize implements authorizer.Authorizer: RBAC has no
// conditions.
func (a *Authorizer) ConditionsAwareAuthorize(ctx context.Context, attrs authorizer.Attributes) authorizer.ConditionsAwareDecision {
	return authorizer.ConditionsAwareDecisionFromParts(a.Authorize(ctx, attrs))
}

// EvaluateConditions implements authorizer.Authorizer.
func (a *Authorizer) EvaluateConditions(context.Context, authorizer.ConditionsAwareDecision, authorizer.ConditionsData) (authorizer.Decision, string, error) {
	return authorizer.DecisionDeny, "", authorizer.ErrorConditionEvaluationNotSupported
}

// RulesFor implements authorizer.RuleResolver, for SelfSubjectRulesReview.
func (a *Authorizer) RulesFor(ctx context.Context, u user.Info, namespace string) ([]authorizer.ResourceRuleInfo, []authorizer.NonResourceRuleInfo, bool, error) {
	rules, err := a.resolver.Rules(ctx, u, namespace)
	var resources []authorizer.ResourceRuleInfo
	var urls []authorizer.NonResourceRuleInfo
	for _, r := range rules {
		if len(r.Resources) > 0 {
			resources = append(resources, &authorizer.DefaultResourceRuleInfo{
				Verbs: r.Verbs, APIGroups: r.APIGroups, Resources: r.Resources, ResourceNames: r.ResourceNames,
			})
		}
		if len(r.NonResourceURLs) > 0 {
			urls = append(urls, &authorizer.DefaultNonResourceRuleInfo{Verbs: r.Verbs, NonResourceURLs: r.NonResourceURLs})
		}
	}
	return resources, urls, false, err
}
