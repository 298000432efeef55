package clusterroleaggregation

import (
	"context"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	rbacv1ac "k8s.io/client-go/applyconfigurations/rbac/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
)

// Name is the controller's name and field manager, as upstream's.
const Name = "clusterrole-aggregation-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "ClusterRoleAggregator"

// Reconciler writes the rules of one aggregated ClusterRole.
type Reconciler struct{ client client.Client }

// New returns a Reconciler.
func New(d controllers.Deps) *Reconciler { return &Reconciler{client: d.Client} }

func (r *Reconciler) aggregated(ctx context.Context, _ client.Object) []reconcile.Request {
	all, err := r.roles(ctx)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "finding aggregated cluster roles")
		return nil
	}
	var requests []reconcile.Request
	for _, role := range all {
		if role.AggregationRule != nil {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(role)})
		}
	}
	return requests
}

func (r *Reconciler) roles(ctx context.Context) ([]*rbacv1.ClusterRole, error) {
	var list rbacv1.ClusterRoleList
	if err := r.client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing cluster roles: %w", err)
	}
	all := make([]*rbacv1.ClusterRole, len(list.Items))
	for i := range list.Items {
		all[i] = &list.Items[i]
	}
	return all, nil
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var role rbacv1.ClusterRole
	if err := r.client.Get(ctx, req.NamespacedName, &role); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	all, err := r.roles(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	rules, ok := plan(&role, all)
	if !ok {
		return reconcile.Result{}, nil
	}
	if err := r.client.Apply(ctx, desired(role.Name, rules), client.FieldOwner(Name), client.ForceOwnership); err != nil {
		return reconcile.Result{}, fmt.Errorf("writing the rules of cluster role %s: %w", role.Name, err)
	}
	return reconcile.Result{}, nil
}

func desired(name string, rules []rbacv1.PolicyRule) *rbacv1ac.ClusterRoleApplyConfiguration {
	out := rbacv1ac.ClusterRole(name)
	for _, rule := range rules {
		out.WithRules(rbacv1ac.PolicyRule().WithVerbs(rule.Verbs...).WithAPIGroups(rule.APIGroups...).WithResources(rule.Resources...).
			WithResourceNames(rule.ResourceNames...).WithNonResourceURLs(rule.NonResourceURLs...))
	}
	return out
}
