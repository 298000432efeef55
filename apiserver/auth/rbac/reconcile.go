package rbac

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/auth/rbac/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	apisrbac "github.com/coracle-k8s/coracle/apis/rbac"
)

// Reconcile writes the default policy: it creates what is missing and adds
// missing rules and subjects to what has the annotation
// rbac.authorization.kubernetes.io/autoupdate other than "false"; what others
// added stays. A binding that refers to another role is made again. It costs one
// list per kind and only the writes needed. The server may be ready before: see
// the package's invariants.
//
// See https://kubernetes.io/docs/reference/access-authn-authz/rbac/#auto-reconciliation.
func Reconcile(ctx context.Context, c client.Client) error {
	var (
		clusterRoles    rbacv1.ClusterRoleList
		roles           rbacv1.RoleList
		clusterBindings rbacv1.ClusterRoleBindingList
		bindings        rbacv1.RoleBindingList
	)
	for _, list := range []client.ObjectList{&clusterRoles, &roles, &clusterBindings, &bindings} {
		if err := c.List(ctx, list); err != nil {
			return fmt.Errorf("listing %T: %w", list, err)
		}
	}
	d := newDefaults()
	if err := reconcileKind(ctx, c, slices.Collect(maps.Values(d.clusterRoles)), pointers(clusterRoles.Items), planClusterRole); err != nil {
		return err
	}
	if err := reconcileKind(ctx, c, slices.Collect(maps.Values(d.roles)), pointers(roles.Items), planRole); err != nil {
		return err
	}
	if err := reconcileKind(ctx, c, d.clusterRoleBindings, pointers(clusterBindings.Items), planClusterRoleBinding); err != nil {
		return err
	}
	return reconcileKind(ctx, c, d.roleBindings, pointers(bindings.Items), planRoleBinding)
}

// parallelWrites bounds the writes at once, which etcd puts on the disk together. A
// first start waits for all of them, 140, before it is ready.
const parallelWrites = 16

// defaults is the policy by name, aggregated roles filled in.
type defaults struct {
	clusterRoles        map[string]*rbacv1.ClusterRole
	roles               map[string]*rbacv1.Role // by namespace/name
	clusterRoleBindings []*rbacv1.ClusterRoleBinding
	roleBindings        []*rbacv1.RoleBinding
}

func newDefaults() defaults {
	all := pointers(ClusterRoles())
	d := defaults{
		clusterRoles: make(map[string]*rbacv1.ClusterRole, len(all)), roles: map[string]*rbacv1.Role{},
		clusterRoleBindings: pointers(ClusterRoleBindings()), roleBindings: pointers(RoleBindings()),
	}
	for _, r := range all {
		d.clusterRoles[r.Name] = r
	}
	// Each of them contains the one before.
	for _, name := range []string{"view", "edit", "admin"} {
		d.clusterRoles[name].Rules = apisrbac.Aggregate(d.clusterRoles[name], all)
	}
	for _, r := range pointers(Roles()) {
		d.roles[r.Namespace+"/"+r.Name] = r
	}
	return d
}

type object interface {
	comparable
	client.Object
}

// plan returns what to write of a default object: nothing (nil), an update, or,
// with replace, the deletion of what is stored and a create.
type plan[T object] func(stored, wanted T) (update T, replace bool)

func reconcileKind[T object](ctx context.Context, c client.Client, wanted, stored []T, plan plan[T]) error {
	have := make(map[client.ObjectKey]T, len(stored))
	for _, o := range stored {
		have[client.ObjectKeyFromObject(o)] = o
	}
	// In parallel, because etcd then stores many with one fsync.
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelWrites)
	for _, w := range wanted {
		g.Go(func() error {
			if err := reconcileOne(ctx, c, w, have[client.ObjectKeyFromObject(w)], plan); err != nil {
				return fmt.Errorf("writing the default %T %s: %w", w, client.ObjectKeyFromObject(w), err)
			}
			return nil
		})
	}
	return g.Wait()
}

func reconcileOne[T object](ctx context.Context, c client.Client, wanted, stored T, plan plan[T]) error {
	var none T
	if stored == none {
		return create(ctx, c, wanted)
	}
	if stored.GetAnnotations()[rbacv1.AutoUpdateAnnotationKey] == "false" {
		return nil
	}
	update, replace := plan(stored, wanted)
	if update == none {
		return nil
	}
	if replace {
		if err := c.Delete(ctx, stored, client.Preconditions{UID: uidOf(stored)}); client.IgnoreNotFound(err) != nil {
			return err
		}
		return create(ctx, c, update)
	}
	err := c.Update(ctx, update)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		// Another server or a user was quicker; the next start looks again.
		return nil
	}
	return err
}

func create(ctx context.Context, c client.Client, obj client.Object) error {
	err := c.Create(ctx, obj)
	if apierrors.IsNotFound(err) && obj.GetNamespace() != "" {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: obj.GetNamespace()}}
		if err := c.Create(ctx, ns); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
		err = c.Create(ctx, obj)
	}
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func planClusterRole(stored, wanted *rbacv1.ClusterRole) (*rbacv1.ClusterRole, bool) {
	out := stored.DeepCopy()
	changed := addMeta(&out.ObjectMeta, &wanted.ObjectMeta)
	if wanted.AggregationRule != nil {
		changed = addSelectors(out, wanted.AggregationRule) || changed
		// Its rules are the aggregation controller's.
	} else if rules, missing := addRules(out.Rules, wanted.Rules); missing {
		out.Rules, changed = rules, true
	}
	if !changed {
		return nil, false
	}
	return out, false
}

func addSelectors(role *rbacv1.ClusterRole, wanted *rbacv1.AggregationRule) bool {
	changed := false
	for _, s := range wanted.ClusterRoleSelectors {
		if role.AggregationRule == nil {
			role.AggregationRule = &rbacv1.AggregationRule{}
		}
		have := &role.AggregationRule.ClusterRoleSelectors
		if !slices.ContainsFunc(*have, func(h metav1.LabelSelector) bool { return equality.Semantic.DeepEqual(h, s) }) {
			*have = append(*have, s)
			changed = true
		}
	}
	return changed
}

func planRole(stored, wanted *rbacv1.Role) (*rbacv1.Role, bool) {
	out := stored.DeepCopy()
	changed := addMeta(&out.ObjectMeta, &wanted.ObjectMeta)
	if rules, missing := addRules(out.Rules, wanted.Rules); missing {
		out.Rules, changed = rules, true
	}
	if !changed {
		return nil, false
	}
	return out, false
}

func planClusterRoleBinding(stored, wanted *rbacv1.ClusterRoleBinding) (*rbacv1.ClusterRoleBinding, bool) {
	out := stored.DeepCopy()
	changed := addMeta(&out.ObjectMeta, &wanted.ObjectMeta)
	changed = addSubjects(&out.Subjects, wanted.Subjects) || changed
	if stored.RoleRef != wanted.RoleRef {
		return &rbacv1.ClusterRoleBinding{ObjectMeta: recreated(out.ObjectMeta), Subjects: out.Subjects, RoleRef: wanted.RoleRef}, true
	}
	if !changed {
		return nil, false
	}
	return out, false
}

func planRoleBinding(stored, wanted *rbacv1.RoleBinding) (*rbacv1.RoleBinding, bool) {
	out := stored.DeepCopy()
	changed := addMeta(&out.ObjectMeta, &wanted.ObjectMeta)
	changed = addSubjects(&out.Subjects, wanted.Subjects) || changed
	if stored.RoleRef != wanted.RoleRef {
		return &rbacv1.RoleBinding{ObjectMeta: recreated(out.ObjectMeta), Subjects: out.Subjects, RoleRef: wanted.RoleRef}, true
	}
	if !changed {
		return nil, false
	}
	return out, false
}

func recreated(m metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: m.Namespace, Name: m.Name, Labels: m.Labels, Annotations: m.Annotations}
}

// addMeta adds labels and annotations that are missing; values that others set
// stay.
func addMeta(to, from *metav1.ObjectMeta) bool {
	labelled := addMissing(&to.Labels, from.Labels)
	return addMissing(&to.Annotations, from.Annotations) || labelled
}

func addMissing(to *map[string]string, from map[string]string) bool {
	changed := false
	for k, v := range from {
		if _, ok := (*to)[k]; ok {
			continue
		}
		if *to == nil {
			*to = map[string]string{}
		}
		(*to)[k], changed = v, true
	}
	return changed
}

func addRules(have, wanted []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, bool) {
	covered, missing := validation.Covers(have, wanted)
	if covered {
		return have, false
	}
	return append(have, missing...), true
}

func addSubjects(have *[]rbacv1.Subject, wanted []rbacv1.Subject) bool {
	changed := false
	for _, s := range wanted {
		if !slices.Contains(*have, s) {
			*have, changed = append(*have, s), true
		}
	}
	return changed
}

func uidOf(o client.Object) *types.UID {
	uid := o.GetUID()
	return &uid
}

func pointers[T any](items []T) []*T {
	out := make([]*T, len(items))
	for i := range items {
		out[i] = &items[i]
	}
	return out
}
