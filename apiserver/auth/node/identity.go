// Package node authorizes the agents of nodes: each may read the secrets,
// config maps, claims and volumes of the pods bound to its node and make tokens
// for their service accounts, and owns its node object and lease.
// rbac.NodeRules has the rights that are the same for all nodes.
//
// See https://kubernetes.io/docs/reference/access-authn-authz/node/.
//
// The API of this package is not stable: see docs/api.md.
package node

import (
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"
)

const userPrefix = "system:node:"

// Name returns the name of the node whose agent u is: the user system:node:NAME
// in the group system:nodes. It reports whether u is an agent.
func Name(u user.Info) (node string, isNode bool) {
	if u == nil {
		return "", false
	}
	name, ok := strings.CutPrefix(u.GetName(), userPrefix)
	if !ok || !slices.Contains(u.GetGroups(), user.NodesGroup) {
		return "", false
	}
	return name, true
}
