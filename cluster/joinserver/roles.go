package joinserver

import (
	"context"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/cluster/joins"
	"github.com/coracle-k8s/coracle/cluster/jointoken"
)

const (
	// joinRole lets its subjects join.
	joinRole = "coracle:join"
	// AgentGroup are the agents; they may do what a node's proxy may.
	AgentGroup = "coracle:agents"
)

// Roles let join tokens and agents join, and agents see what a node's proxy needs.
type Roles struct{ Client client.Client }

// Start implements manager.Runnable: it writes the roles and their bindings and
// returns.
func (r Roles) Start(ctx context.Context) error {
	for _, o := range agentRoles() {
		err := r.Client.Create(ctx, o)
		if apierrors.IsAlreadyExists(err) { // perhaps those of an earlier version
			err = r.Client.Update(ctx, o)
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("letting agents join: %w", err)
		}
	}
	return nil
}

func agentRoles() []client.Object {
	bind := func(name, role string, groups ...string) *rbacv1.ClusterRoleBinding {
		b := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		}
		for _, group := range groups {
			b.Subjects = append(b.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: group})
		}
		return b
	}
	return []client.Object{
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: joinRole}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"post"}, NonResourceURLs: []string{joins.Path}}}},
		bind(joinRole, joinRole, jointoken.Group, AgentGroup),
		bind("coracle:node-proxiers", "system:node-proxier", AgentGroup),
	}
}
