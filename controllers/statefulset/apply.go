package statefulset

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/controllers/internal/owned"
)

// apply carries the plan out. A pod whose claims cannot be had is not created.
func (r *Reconciler) apply(ctx context.Context, set *appsv1.StatefulSet, plan Plan) error {
	ev := events{recorder: r.recorder, set: set}
	var errs []error
	for _, b := range plan.Blocked {
		ev.did("Create", b.Pod, b.Err)
		errs = append(errs, fmt.Errorf("creating pod %s: %w", b.Pod, b.Err))
	}
	for _, c := range plan.Claims {
		errs = append(errs, r.ownClaim(ctx, c, ev))
	}
	for _, c := range plan.Discard {
		err := r.client.Delete(ctx, c, client.Preconditions{UID: &c.UID, ResourceVersion: &c.ResourceVersion})
		if client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("deleting claim %s: %w", c.Name, err))
		}
	}
	unprovided := map[string]bool{}
	for _, c := range plan.Provide {
		if err := r.provide(ctx, c, ev); err != nil {
			unprovided[c.Pod] = true
			errs = append(errs, err)
		}
	}
	var ready []*corev1.Pod
	for _, p := range plan.Create {
		if !unprovided[p.Name] {
			ready = append(ready, p)
		}
	}
	pods := owned.Control{Client: r.client, Expected: r.expected, Owner: set.UID, Told: ev}
	_, failedCreate := pods.Create(ctx, len(ready), func(i int) *corev1.Pod { return ready[i] })
	failedUpdate := r.update(ctx, plan.Update, ev)
	_, failedDelete := pods.Delete(ctx, plan.Delete)
	return errors.Join(append(errs, failedCreate, failedUpdate, failedDelete)...)
}

func (r *Reconciler) ownClaim(ctx context.Context, c ClaimChange, ev events) error {
	if c.Conflicting {
		ev.conflict(c.Claim.Name)
	}
	changed := c.Claim.DeepCopy()
	changed.OwnerReferences = c.Owners
	if err := r.client.Update(ctx, changed); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("updating claim %s for delete policy ownerRefs: %w", c.Claim.Name, err)
	}
	return nil
}

func (r *Reconciler) provide(ctx context.Context, c ClaimCreation, ev events) error {
	err := r.client.Create(ctx, c.Claim.DeepCopy())
	if apierrors.IsAlreadyExists(err) {
		// The cache is behind, or it was made by hand: just as good.
		return nil
	}
	ev.createdClaim(c.Claim.Name, c.Pod, err)
	if err != nil {
		err = fmt.Errorf("failed to create PVC %s: %w", c.Claim.Name, err)
		ev.did("Create", c.Pod, err)
	}
	return err
}

func (r *Reconciler) update(ctx context.Context, pods []*corev1.Pod, ev events) error {
	var errs []error
	for _, p := range pods {
		err := r.client.Update(ctx, p)
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			continue // the other change's event triggers a reconcile
		}
		ev.did("Update", p.Name, err)
		if err != nil {
			errs = append(errs, fmt.Errorf("updating pod %s: %w", p.Name, err))
		}
	}
	return errors.Join(errs...)
}
