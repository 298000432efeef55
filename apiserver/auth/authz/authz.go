// Package authz composes the authorization of requests: members of system:masters may
// do everything, nodes have access to what belongs to them, and RBAC grants the rest.
//
// The API of this package is not stable: see docs/api.md.
package authz

import (
	"fmt"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/authorization/metrics"
	"k8s.io/apiserver/pkg/authorization/union"
)

// Full is an authorizer that also lists the rules of a user.
type Full interface {
	authorizer.Authorizer
	authorizer.RuleResolver
}

// Config has what New composes.
type Config struct {
	// Node decides for agents of nodes; nil leaves it out.
	Node Full
	RBAC Full
}

// New composes the authorizers in upstream's order and under upstream's names.
// The masters' fast path looks nothing up.
func New(c Config) (authorizer.Authorizer, authorizer.RuleResolver, error) {
	all := []union.NamedAuthorizer{masters()}
	var resolvers []authorizer.RuleResolver
	if c.Node != nil {
		all = append(all, counted("Node", "node", c.Node))
		resolvers = append(resolvers, c.Node)
	}
	all = append(all, counted("RBAC", "rbac", c.RBAC))
	resolvers = append(resolvers, c.RBAC)
	a, err := union.New(all...)
	if err != nil {
		return nil, nil, fmt.Errorf("composing authorizers: %w", err)
	}
	return a, union.NewRuleResolvers(resolvers...), nil
}

func masters() union.NamedAuthorizer {
	return union.NamedAuthorizer{
		AuthorizerName: "kubernetes.io/system-privileged-group",
		Authorizer:     authorizerfactory.NewPrivilegedGroups(user.SystemPrivilegedGroup),
	}
}

// counted has its decisions in apiserver_authorization_decisions_total.
func counted(kind, name string, a authorizer.Authorizer) union.NamedAuthorizer {
	return union.NamedAuthorizer{AuthorizerName: name, Authorizer: metrics.InstrumentedAuthorizer(kind, name, a)}
}
