package rbac

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/tools/cache"

	"github.com/coracle-k8s/coracle/apiserver/auth/mirror"
)

// Source holds the roles and bindings. What it returns is shared and must not be changed.
type Source interface {
	// Sync returns when the other methods may be called.
	Sync(ctx context.Context) error
	ClusterRole(name string) (*rbacv1.ClusterRole, bool)
	Role(namespace, name string) (*rbacv1.Role, bool)
	// ClusterRoleBindings gives those that may concern u: more is fine.
	ClusterRoleBindings(u user.Info) []*rbacv1.ClusterRoleBinding
	// RoleBindings gives those of the namespace that may concern u.
	RoleBindings(namespace string, u user.Info) []*rbacv1.RoleBinding
}

// Live is a Source kept up to date by watches, which start with the first
// Sync. Run must be running for Sync to return.
type Live struct {
	clusterRoles        *mirror.Mirror[*rbacv1.ClusterRole]
	roles               *mirror.Mirror[*rbacv1.Role]
	clusterRoleBindings *mirror.Mirror[*rbacv1.ClusterRoleBinding]
	roleBindings        *mirror.Mirror[*rbacv1.RoleBinding]

	defaults   func() defaults
	reconciled atomic.Bool
}

// Watches are the four resources that Live follows, in all namespaces.
type Watches struct {
	ClusterRoles, Roles, ClusterRoleBindings, RoleBindings cache.ListerWatcher
}

const bySubject = "subject"

// NewLive makes the source; nothing runs yet.
func NewLive(w Watches) *Live {
	return &Live{
		clusterRoles: mirror.New[*rbacv1.ClusterRole](w.ClusterRoles, nil),
		roles:        mirror.New[*rbacv1.Role](w.Roles, nil),
		clusterRoleBindings: mirror.New(w.ClusterRoleBindings, map[string]mirror.Index[*rbacv1.ClusterRoleBinding]{
			bySubject: func(b *rbacv1.ClusterRoleBinding) []string { return subjectKeys(b.Subjects, "", "") },
		}),
		roleBindings: mirror.New(w.RoleBindings, map[string]mirror.Index[*rbacv1.RoleBinding]{
			bySubject: func(b *rbacv1.RoleBinding) []string {
				return subjectKeys(b.Subjects, b.Namespace, b.Namespace+"/")
			},
		}),
		defaults: sync.OnceValue(newDefaults),
	}
}

// Run feeds the source until ctx is done.
func (l *Live) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.clusterRoles.Run(ctx) })
	g.Go(func() error { return l.roles.Run(ctx) })
	g.Go(func() error { return l.clusterRoleBindings.Run(ctx) })
	g.Go(func() error { return l.roleBindings.Run(ctx) })
	return g.Wait()
}

// Sync implements Source.
func (l *Live) Sync(ctx context.Context) error {
	if l.clusterRoles.Synced() && l.roles.Synced() && l.clusterRoleBindings.Synced() && l.roleBindings.Synced() {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.clusterRoles.Sync(ctx) })
	g.Go(func() error { return l.roles.Sync(ctx) })
	g.Go(func() error { return l.clusterRoleBindings.Sync(ctx) })
	g.Go(func() error { return l.roleBindings.Sync(ctx) })
	return g.Wait()
}

// Reconciled is called when Reconcile has written the default policy: from then
// on a default role or binding that is missing has been deleted by a user.
func (l *Live) Reconciled() { l.reconciled.Store(true) }

// ClusterRole implements Source.
func (l *Live) ClusterRole(name string) (*rbacv1.ClusterRole, bool) {
	if role, ok := l.clusterRoles.Get("", name); ok {
		return role, true
	}
	if l.reconciled.Load() {
		return nil, false
	}
	role, ok := l.defaults().clusterRoles[name]
	return role, ok
}

// Role implements Source.
func (l *Live) Role(namespace, name string) (*rbacv1.Role, bool) {
	if role, ok := l.roles.Get(namespace, name); ok {
		return role, true
	}
	if l.reconciled.Load() {
		return nil, false
	}
	role, ok := l.defaults().roles[namespace+"/"+name]
	return role, ok
}

// ClusterRoleBindings implements Source.
func (l *Live) ClusterRoleBindings(u user.Info) []*rbacv1.ClusterRoleBinding {
	found := map[string]*rbacv1.ClusterRoleBinding{}
	for _, k := range userKeys(u) {
		for _, b := range l.clusterRoleBindings.ByIndex(bySubject, k) {
			found[b.Name] = b
		}
	}
	if !l.reconciled.Load() {
		for _, b := range l.defaults().clusterRoleBindings {
			if _, stored := l.clusterRoleBindings.Get("", b.Name); !stored {
				found[b.Name] = b
			}
		}
	}
	return inOrder(found)
}

// RoleBindings implements Source.
func (l *Live) RoleBindings(namespace string, u user.Info) []*rbacv1.RoleBinding {
	found := map[string]*rbacv1.RoleBinding{}
	for _, k := range userKeys(u) {
		for _, b := range l.roleBindings.ByIndex(bySubject, namespace+"/"+k) {
			found[b.Name] = b
		}
	}
	if !l.reconciled.Load() {
		for _, b := range l.defaults().roleBindings {
			if b.Namespace != namespace {
				continue
			}
			if _, stored := l.roleBindings.Get(namespace, b.Name); !stored {
				found[b.Name] = b
			}
		}
	}
	return inOrder(found)
}

// inOrder makes reasons and messages repeatable.
func inOrder[T any](m map[string]T) []T {
	out := make([]T, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[name])
	}
	return out
}

// subjectKeys and userKeys meet in the index: the former of bound subjects, the
// latter of the user of a request. Service accounts are users by another name.
func subjectKeys(subjects []rbacv1.Subject, namespace, prefix string) []string {
	keys := make([]string, 0, len(subjects))
	for _, s := range subjects {
		k := prefix
		switch s.Kind {
		case rbacv1.UserKind:
			k += "u:" + s.Name
		case rbacv1.GroupKind:
			k += "g:" + s.Name
		case rbacv1.ServiceAccountKind:
			k += "u:" + serviceaccount.MakeUsername(cmp.Or(s.Namespace, namespace), s.Name)
		default:
			continue
		}
		if !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

func userKeys(u user.Info) []string {
	keys := make([]string, 0, len(u.GetGroups())+1)
	keys = append(keys, "u:"+u.GetName())
	for _, g := range u.GetGroups() {
		keys = append(keys, "g:"+g)
	}
	return keys
}

// applies finds the subject of a binding that is u. namespace is that of the
// binding, for service accounts that name none.
func applies(u user.Info, subjects []rbacv1.Subject, namespace string) (*rbacv1.Subject, bool) {
	for i := range subjects {
		if appliesTo(u, &subjects[i], namespace) {
			return &subjects[i], true
		}
	}
	return nil, false
}

func appliesTo(u user.Info, s *rbacv1.Subject, namespace string) bool {
	switch s.Kind {
	case rbacv1.UserKind:
		return u.GetName() == s.Name
	case rbacv1.GroupKind:
		return slices.Contains(u.GetGroups(), s.Name)
	case rbacv1.ServiceAccountKind:
		in := cmp.Or(s.Namespace, namespace)
		return in != "" && serviceaccount.MatchesUsername(in, s.Name, u.GetName())
	}
	return false
}

func isMaster(u user.Info) bool {
	return slices.Contains(u.GetGroups(), user.SystemPrivilegedGroup)
}
