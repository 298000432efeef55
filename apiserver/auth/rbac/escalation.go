package rbac

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// EscalationChecker keeps users from granting themselves or others what they
// do not hold, unless they have the verb escalate (roles) or bind (bindings).
// See https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping.
//
// Its methods read the user from ctx (k8s.io/apiserver/pkg/endpoints/request)
// and return a Forbidden error, or nil. Call them on create, and on update when
// rules, aggregation rule, subjects or role reference change.
type EscalationChecker struct {
	Authorizer authorizer.UnconditionalAuthorizer
	Resolver   *Resolver
}

// CheckRole is for a Role about to be stored.
func (c *EscalationChecker) CheckRole(ctx context.Context, role *rbacv1.Role) error {
	if c.privileged(ctx) || c.holds(ctx, "escalate", "roles", role.Namespace, requested(ctx)) {
		return nil
	}
	return forbid("roles", role.Name, c.ConfirmNoEscalation(ctx, role.Namespace, role.Rules))
}

// CheckClusterRole checks a ClusterRole that is about to be stored. A user who
// sets an aggregation rule must hold everything.
func (c *EscalationChecker) CheckClusterRole(ctx context.Context, role *rbacv1.ClusterRole) error {
	if c.privileged(ctx) || c.holds(ctx, "escalate", "clusterroles", "", requested(ctx)) {
		return nil
	}
	if err := c.ConfirmNoEscalation(ctx, "", role.Rules); err != nil {
		return forbid("clusterroles", role.Name, err)
	}
	if role.AggregationRule == nil || len(role.AggregationRule.ClusterRoleSelectors) == 0 {
		return nil
	}
	everything := []rbacv1.PolicyRule{allow("*", "*", "*"), urls("*", "*")}
	if c.ConfirmNoEscalation(ctx, "", everything) != nil {
		return forbid("clusterroles", role.Name, errors.New("must have cluster-admin privileges to use the aggregationRule"))
	}
	return nil
}

// CheckRoleBinding is for a RoleBinding about to be stored.
func (c *EscalationChecker) CheckRoleBinding(ctx context.Context, b *rbacv1.RoleBinding) error {
	return c.checkBinding(ctx, "rolebindings", b.Namespace, b.Name, b.RoleRef)
}

// CheckClusterRoleBinding is for a ClusterRoleBinding about to be stored.
func (c *EscalationChecker) CheckClusterRoleBinding(ctx context.Context, b *rbacv1.ClusterRoleBinding) error {
	return c.checkBinding(ctx, "clusterrolebindings", "", b.Name, b.RoleRef)
}

func (c *EscalationChecker) checkBinding(ctx context.Context, resource, namespace, name string, ref rbacv1.RoleRef) error {
	bound := map[string]string{"Role": "roles", "ClusterRole": "clusterroles"}[ref.Kind]
	if c.privileged(ctx) || (bound != "" && c.holds(ctx, "bind", bound, namespace, ref.Name)) {
		return nil
	}
	if err := addressable(ref.Name); bound != "" && err != nil {
		return err
	}
	rules, err := c.Resolver.RoleRules(ctx, ref, namespace)
	if apierrors.IsNotFound(err) {
		// Upstream reads the role in the name of the request, so it is called after that.
		return apierrors.NewNotFound(rbacv1.Resource(resource), ref.Name)
	}
	if err != nil {
		return err
	}
	return forbid(resource, name, c.ConfirmNoEscalation(ctx, namespace, rules))
}

// addressable returns an error for a name that no path can have: upstream reads the role
// by it, and its storage refuses the name before validation does.
func addressable(name string) error {
	if name == "" {
		return apierrors.NewBadRequest("Name parameter required.")
	}
	if faults := content.IsPathSegmentName(name); len(faults) > 0 {
		return apierrors.NewBadRequest(fmt.Sprintf("Name parameter invalid: %q: %s", name, strings.Join(faults, ";")))
	}
	return nil
}

// privileged reports whether the request may grant anything.
func (c *EscalationChecker) privileged(ctx context.Context) bool {
	u, ok := request.UserFrom(ctx)
	return ok && isMaster(u)
}

// requested returns the name that the request's path has: none of what a POST creates,
// for which a rule with names of resources does not count.
func requested(ctx context.Context) string {
	if info, ok := request.RequestInfoFrom(ctx); ok {
		return info.Name
	}
	return ""
}

// holds reports whether the user has the verb on the role.
func (c *EscalationChecker) holds(ctx context.Context, verb, resource, namespace, name string) bool {
	u, ok := request.UserFrom(ctx)
	if !ok {
		return false
	}
	decision, _, err := c.Authorizer.Authorize(ctx, authorizer.AttributesRecord{
		User: u, Verb: verb, Namespace: namespace, Name: name,
		APIGroup: rbacv1.GroupName, APIVersion: "*", Resource: resource, ResourceRequest: true,
	})
	return err == nil && decision == authorizer.DecisionAllow
}

// ConfirmNoEscalation returns an error that lists those of the rules that the
// user in ctx does not hold in namespace (empty: cluster-wide).
func (c *EscalationChecker) ConfirmNoEscalation(ctx context.Context, namespace string, rules []rbacv1.PolicyRule) error {
	u, ok := request.UserFrom(ctx)
	if !ok {
		return errors.New("no user on context")
	}
	held, resolution := c.Resolver.Rules(ctx, u, namespace)
	covered, missing := validation.Covers(held, rules)
	if covered {
		return nil
	}
	lines := make([]string, 0, len(missing))
	for _, r := range compact(missing) {
		lines = append(lines, oneLine(r))
	}
	slices.Sort(lines)
	msg := fmt.Sprintf("user %q (groups=%q) is attempting to grant RBAC permissions not currently held:\n%s",
		u.GetName(), u.GetGroups(), strings.Join(slices.Compact(lines), "\n"))
	if resolution != nil {
		msg += fmt.Sprintf("; resolution errors: [%v]", resolution)
	}
	return errors.New(msg)
}

// oneLine writes a rule as upstream's messages do.
func oneLine(r rbacv1.PolicyRule) string {
	var parts []string
	for _, p := range []struct {
		name   string
		values []string
	}{
		{"APIGroups", r.APIGroups}, {"Resources", r.Resources}, {"NonResourceURLs", r.NonResourceURLs},
		{"ResourceNames", r.ResourceNames}, {"Verbs", r.Verbs},
	} {
		if len(p.values) > 0 {
			parts = append(parts, fmt.Sprintf("%s:%q", p.name, p.values))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func forbid(resource, name string, err error) error {
	if err == nil {
		return nil
	}
	return apierrors.NewForbidden(schema.GroupResource{Group: rbacv1.GroupName, Resource: resource}, name, err)
}
