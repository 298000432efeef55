package statefulset

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/controllers/internal/slowstart"
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
	errs = append(errs, r.create(ctx, set, ready, ev), r.update(ctx, plan.Update, ev), r.delete(ctx, set, plan.Delete, ev))
	return errors.Join(errs...)
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

func (r *Reconciler) create(ctx context.Context, set *appsv1.StatefulSet, pods []*corev1.Pod, ev events) error {
	r.expected.ExpectCreations(set.UID, len(pods))
	called, _, err := slowstart.Run(len(pods), func(i int) error {
		err := r.client.Create(ctx, pods[i])
		if err == nil {
			ev.did("Create", pods[i].Name, nil)
			return nil
		}
		r.expected.CreationsObserved(set.UID, 1)
		if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			// Nothing to retry: the set goes, too.
			return nil
		}
		// One that exists is another's, or the cache is behind: not worth telling.
		if !apierrors.IsAlreadyExists(err) {
			ev.did("Create", pods[i].Name, err)
		}
		return fmt.Errorf("creating pod %s: %w", pods[i].Name, err)
	})
	r.expected.CreationsObserved(set.UID, len(pods)-called)
	return err
}

func (r *Reconciler) update(ctx context.Context, pods []*corev1.Pod, ev events) error {
	var errs []error
	for _, p := range pods {
		err := r.client.Update(ctx, p)
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			continue // what changed it wakes us
		}
		ev.did("Update", p.Name, err)
		if err != nil {
			errs = append(errs, fmt.Errorf("updating pod %s: %w", p.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (r *Reconciler) delete(ctx context.Context, set *appsv1.StatefulSet, pods []*corev1.Pod, ev events) error {
	uids := make([]types.UID, len(pods))
	for i, p := range pods {
		uids[i] = p.UID
	}
	r.expected.ExpectDeletions(set.UID, uids...)
	_, err := slowstart.All(len(pods), func(i int) error {
		pod := &corev1.Pod{}
		pod.Namespace, pod.Name = pods[i].Namespace, pods[i].Name
		err := r.client.Delete(ctx, pod, client.Preconditions{UID: &uids[i]})
		if err == nil {
			ev.did("Delete", pod.Name, nil)
			return nil
		}
		r.expected.DeletionObserved(set.UID, uids[i])
		// Conflict: another pod has the name by now, so this one is gone too.
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return nil
		}
		ev.did("Delete", pod.Name, err)
		return fmt.Errorf("deleting pod %s: %w", pod.Name, err)
	})
	return err
}
