package daemonset

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/controllers/internal/history"
)

// kind is the kind of owner in the pods' owner references.
var kind = appsv1.SchemeGroupVersion.WithKind("DaemonSet")

// revisionKind names its revisions: they share a label with the pods.
var revisionKind = history.Kind{GroupVersionKind: kind, HashLabel: appsv1.DefaultDaemonSetUniqueLabelKey}

func (r *Reconciler) store(set *appsv1.DaemonSet, selector labels.Selector) *history.Store {
	return &history.Store{Client: r.client, Live: r.live, Owner: set, Kind: revisionKind, Selector: selector}
}

// revisions returns the revision of the set's template, and the others. It
// creates what is missing, and of several that record the same template keeps
// the newest, which its pods are then of.
func (r *Reconciler) revisions(ctx context.Context, set *appsv1.DaemonSet, selector labels.Selector, pods []*corev1.Pod) (current *appsv1.ControllerRevision, old []*appsv1.ControllerRevision, err error) {
	store := r.store(set, selector)
	all, err := store.List(ctx)
	if err != nil {
		return nil, nil, err
	}
	for i := range all {
		if all[i], err = r.labelled(ctx, all[i]); err != nil {
			return nil, nil, err
		}
	}
	collisions := ptr.Deref(set.Status.CollisionCount, 0)
	wanted, err := history.New(set, revisionKind, &set.Spec.Template, history.Next(all), collisions)
	if err != nil {
		return nil, nil, err
	}
	decision := history.Decide(all, wanted)
	current, collisions, err = store.Apply(ctx, decision, collisions)
	if err != nil {
		return nil, nil, err
	}
	if collisions != ptr.Deref(set.Status.CollisionCount, 0) {
		// The count is part of names to come. Its write wakes the set.
		status := *set.Status.DeepCopy()
		status.CollisionCount = &collisions
		if err := r.writeStatus(ctx, set, status); err != nil {
			return nil, nil, err
		}
	}
	if err := r.dedup(ctx, store, decision, pods); err != nil {
		return nil, nil, err
	}
	for _, rev := range all {
		if rev.Name != current.Name {
			old = append(old, rev)
		}
	}
	return current, old, nil
}

// labelled adds the label that pods are compared with to a revision that another client made.
func (r *Reconciler) labelled(ctx context.Context, rev *appsv1.ControllerRevision) (*appsv1.ControllerRevision, error) {
	if _, ok := rev.Labels[revisionKind.HashLabel]; ok {
		return rev, nil
	}
	changed := rev.DeepCopy()
	if changed.Labels == nil {
		changed.Labels = map[string]string{}
	}
	changed.Labels[revisionKind.HashLabel] = rev.Name
	if err := r.client.Update(ctx, changed); err != nil {
		return nil, fmt.Errorf("labelling ControllerRevision %s: %w", rev.Name, err)
	}
	return changed, nil
}

func (r *Reconciler) dedup(ctx context.Context, store *history.Store, d history.Decision, pods []*corev1.Pod) error {
	if len(d.Duplicates) == 0 {
		return nil
	}
	hash := d.Revision.Labels[revisionKind.HashLabel]
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]string{revisionKind.HashLabel: hash}}})
	if err != nil {
		return fmt.Errorf("encoding patch: %w", err)
	}
	gone := map[string]bool{}
	for _, rev := range d.Duplicates {
		gone[rev.Labels[revisionKind.HashLabel]] = true
	}
	for _, p := range pods {
		if !gone[p.Labels[revisionKind.HashLabel]] {
			continue
		}
		pod := &corev1.Pod{}
		pod.Namespace, pod.Name = p.Namespace, p.Name
		if err := r.client.Patch(ctx, pod, client.RawPatch(types.MergePatchType, body)); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("relabelling pod %s: %w", p.Name, err)
		}
	}
	return store.Delete(ctx, d.Duplicates)
}

// live returns a function that reports whether a revision has pods.
func live(pods []*corev1.Pod) func(*appsv1.ControllerRevision) bool {
	hashes := map[string]bool{}
	for _, p := range pods {
		hashes[p.Labels[revisionKind.HashLabel]] = true
	}
	return func(rev *appsv1.ControllerRevision) bool { return hashes[rev.Labels[revisionKind.HashLabel]] }
}
