package devicetainteviction

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers/internal/owned"
)

// reconcileRule brings one rule's status up to date.
func (r *Reconciler) reconcileRule(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var rule resourcev1.DeviceTaintRule
	if err := r.client.Get(ctx, req.NamespacedName, &rule, client.UnsafeDisableDeepCopy); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	now := r.clock.Now()
	if wait := tooSoon(&rule, now); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	p, err := r.progress(ctx, &rule)
	if err != nil {
		return reconcile.Result{}, err
	}
	changed := withCondition(&rule, condition(&rule, p, now))
	if changed != nil {
		err := r.client.Status().Update(ctx, changed)
		if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
			return reconcile.Result{}, fmt.Errorf("writing the status of device taint rule %s: %w", rule.Name, err)
		}
	}
	if p.pods > 0 && rule.Spec.Taint.Effect == resourcev1.DeviceTaintEffectNoExecute {
		return reconcile.Result{RequeueAfter: rulePeriod}, nil
	}
	return reconcile.Result{}, nil
}

func (r *Reconciler) progress(ctx context.Context, rule *resourcev1.DeviceTaintRule) (progress, error) {
	p := progress{}
	r.mu.Lock()
	p.evicted = r.evicted[rule.UID]
	r.mu.Unlock()
	effect := rule.Spec.Taint.Effect
	if effect != resourcev1.DeviceTaintEffectNoExecute && effect != resourcev1.DeviceTaintEffectNone {
		return p, nil
	}
	v, err := r.view(ctx)
	if err != nil {
		return p, err
	}
	if effect == resourcev1.DeviceTaintEffectNone {
		// The status shows the effect that the rule would have.
		rule = rule.DeepCopy()
		rule.Spec.Taint.Effect = resourcev1.DeviceTaintEffectNoExecute
		v.rules = append(v.rules, rule)
		p.published = r.devices.selected(rule)
	}
	claims, err := r.claims(ctx)
	if err != nil {
		return p, err
	}
	pods, namespaces := sets.New[types.UID](), sets.New[string]()
	for _, claim := range claims {
		n := 0
		for _, d := range allocated(claim) {
			if means(rule, poolID{d.Driver, d.Pool}, d.Device) {
				n++
			}
		}
		if p.allocated += n; n == 0 {
			continue
		}
		for _, name := range consumers(claim) {
			var pod corev1.Pod
			if err := r.client.Get(ctx, name, &pod, client.UnsafeDisableDeepCopy); err != nil {
				continue // gone: its claim is about to lose it
			}
			if e := v.ofPod(&pod); e != nil && e.because(rule) {
				pods.Insert(pod.UID)
				namespaces.Insert(pod.Namespace)
			}
		}
	}
	p.pods, p.namespaces = pods.Len(), namespaces.Len()
	return p, nil
}

func (r *Reconciler) claims(ctx context.Context) ([]*resourcev1.ResourceClaim, error) {
	var list resourcev1.ResourceClaimList
	return owned.List(ctx, r.client, &list, &list.Items)
}

// consumers names the pods that a claim is reserved for.
func consumers(claim *resourcev1.ResourceClaim) []types.NamespacedName {
	var pods []types.NamespacedName
	for _, c := range claim.Status.ReservedFor {
		if c.APIGroup == "" && c.Resource == "pods" {
			pods = append(pods, types.NamespacedName{Namespace: claim.Namespace, Name: c.Name})
		}
	}
	return pods
}
