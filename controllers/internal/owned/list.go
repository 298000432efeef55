// Package owned has the work that the controllers of workloads share on the
// objects that they own: find them, create and delete them, and send events.
//
// Its contract:
//
//  1. The objects of an owner are those indexed under its UID, and orphans that
//     its selector matches; package claim decides and makes it so.
//  2. A creation or deletion is expected (package expect) before the server is
//     asked, and taken back if the server refuses: until the cache shows it,
//     the owner is not settled.
//  3. Creations start slowly (package slowstart) and end with the first batch in
//     which one fails; deletions are all tried.
//  4. A pod is deleted by its UID, never another of its name; one that is gone
//     already is as good as deleted.
//  5. A namespace that is being deleted is no failure: there is no event and no
//     retry.
//
// The API of this package is not stable: see docs/api.md.
package owned

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/controllers/internal/claim"
)

// List reads a list from the cache and points at its items, which are shared:
// they must not be changed. items points to the field Items of list.
func List[T any](ctx context.Context, r client.Reader, list client.ObjectList, items *[]T, opts ...client.ListOption) ([]*T, error) {
	if err := r.List(ctx, list, append(opts, client.UnsafeDisableDeepCopy)...); err != nil {
		return nil, fmt.Errorf("listing %T: %w", list, err)
	}
	out := make([]*T, len(*items))
	for i := range *items {
		out[i] = &(*items)[i]
	}
	return out, nil
}

// ListPods reads pods.
func ListPods(ctx context.Context, r client.Reader, opts ...client.ListOption) ([]*corev1.Pod, error) {
	var list corev1.PodList
	return List(ctx, r, &list, &list.Items, opts...)
}

// Pods returns the pods of the claimer's owner, after adopting and releasing.
// worthAdopting, when not nil, selects the orphans to look at.
func Pods(ctx context.Context, c *claim.Claimer, worthAdopting func(*corev1.Pod) bool) ([]*corev1.Pod, error) {
	return claimed(ctx, c, worthAdopting, func(opts ...client.ListOption) ([]*corev1.Pod, error) {
		return ListPods(ctx, c.Client, opts...)
	})
}

// ReplicaSets returns the ReplicaSets of the claimer's owner, after adopting
// and releasing.
func ReplicaSets(ctx context.Context, c *claim.Claimer) ([]*appsv1.ReplicaSet, error) {
	return claimed(ctx, c, nil, func(opts ...client.ListOption) ([]*appsv1.ReplicaSet, error) {
		var list appsv1.ReplicaSetList
		return List(ctx, c.Client, &list, &list.Items, opts...)
	})
}

// Revisions returns the ControllerRevisions of the claimer's owner, after
// adopting and releasing.
func Revisions(ctx context.Context, c *claim.Claimer) ([]*appsv1.ControllerRevision, error) {
	return claimed(ctx, c, nil, func(opts ...client.ListOption) ([]*appsv1.ControllerRevision, error) {
		var list appsv1.ControllerRevisionList
		return List(ctx, c.Client, &list, &list.Items, opts...)
	})
}

func claimed[T client.Object](ctx context.Context, c *claim.Claimer, worthAdopting func(T) bool, list func(...client.ListOption) ([]T, error)) ([]T, error) {
	in := client.InNamespace(c.Owner.GetNamespace())
	candidates, err := list(in, client.MatchingFields{index.Owner: string(c.Owner.GetUID())})
	if err != nil {
		return nil, err
	}
	orphans, err := list(in, client.MatchingFields{index.PodOrphan: "true"}, client.MatchingLabelsSelector{Selector: c.Selector})
	if err != nil {
		return nil, err
	}
	for _, o := range orphans {
		if worthAdopting == nil || worthAdopting(o) {
			candidates = append(candidates, o)
		}
	}
	return claim.Claim(ctx, c, candidates)
}
