package garbagecollector

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// patchTries bounds the tries of a patch whose test fails because the object
// changed; the queue's backoff takes over then.
const patchTries = 5

// orphanParallelism is how many dependents of one owner are released at once.
const orphanParallelism = 16

func (r *Reconciler) metadata(id Identity) *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(schema.FromAPIVersionAndKind(id.APIVersion, id.Kind))
	m.Namespace, m.Name = id.Namespace, id.Name
	return m
}

// read asks the server for the object at id, as a dependent in id.Namespace
// means it. Another object of that name counts as absent.
func (r *Reconciler) read(ctx context.Context, id Identity) (*metav1.PartialObjectMetadata, ownerState, error) {
	gvk := schema.FromAPIVersionAndKind(id.APIVersion, id.Kind)
	mapping, err := r.client.RESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, unknown, fmt.Errorf("finding the resource of %s: %w", id, err)
	}
	m := r.metadata(id)
	switch namespaced := mapping.Scope.Name() == meta.RESTScopeNameNamespace; {
	case !namespaced:
		m.Namespace = ""
	case id.Namespace == "":
		return nil, unresolvable, nil
	}
	err = r.live.Get(ctx, client.ObjectKeyFromObject(m), m)
	switch {
	case apierrors.IsNotFound(err):
		return nil, absent, nil
	case err != nil:
		return nil, unknown, fmt.Errorf("getting %s: %w", id, err)
	case m.UID != id.UID:
		return nil, absent, nil
	}
	if o := objectOf(gvk, m); o.deletingDependents() {
		return m, waiting, nil
	}
	return m, solid, nil
}

// liveDependents lists the objects of all monitored kinds that have id as an owner.
func (r *Reconciler) liveDependents(ctx context.Context, id Identity) ([]Object, error) {
	var found []Object
	for _, gvk := range r.monitors.kinds() {
		mapping, err := r.client.RESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
		if meta.IsNoMatchError(err) {
			continue // its definition is gone, and its objects with it
		}
		if err != nil {
			return nil, fmt.Errorf("finding the resource of %s: %w", gvk, err)
		}
		if id.Namespace != "" && mapping.Scope.Name() != meta.RESTScopeNameNamespace {
			continue // a namespaced object does not own cluster-scoped ones
		}
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
		if err := r.live.List(ctx, list, client.InNamespace(id.Namespace)); apierrors.IsNotFound(err) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("listing %s: %w", mapping.Resource.Resource, err)
		}
		for i := range list.Items {
			if refers(list.Items[i].OwnerReferences, id.UID) {
				found = append(found, objectOf(gvk, &list.Items[i]))
			}
		}
	}
	return found, nil
}

// delete deletes the object at id if it still has these owners. rv, when not
// empty, is where they were seen: as long as it is current, no read is needed.
func (r *Reconciler) delete(ctx context.Context, id Identity, rv string, owners []metav1.OwnerReference, policy metav1.DeletionPropagation) error {
	pre := client.Preconditions{UID: &id.UID}
	if rv != "" {
		pre.ResourceVersion = &rv
	}
	err := r.client.Delete(ctx, r.metadata(id), pre, client.PropagationPolicy(policy))
	if apierrors.IsConflict(err) && rv != "" {
		live, state, readErr := r.read(ctx, id)
		switch {
		case readErr != nil:
			return readErr
		case state == absent:
			return nil
		case live == nil || !sameOwners(live.OwnerReferences, owners):
			return fmt.Errorf("deleting %s: its owners changed: %w", id, err)
		}
		return r.delete(ctx, id, "", owners, policy)
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting %s: %w", id, err)
	}
	return nil
}

// operation is one step of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// patchOwners writes owners as the references of an object. The patch tests
// what it replaces instead of the resource version, so that changes of a busy
// object's status do not get in its way.
func (r *Reconciler) patchOwners(ctx context.Context, o *Object, owners []metav1.OwnerReference) error {
	had := o.Owners
	for try := 1; ; try++ {
		err := r.patch(ctx, o.Identity, "/metadata/ownerReferences", had, owners, len(owners) == 0)
		if err == nil || apierrors.IsNotFound(err) {
			return nil
		}
		if try == patchTries || !apierrors.IsConflict(err) && !apierrors.IsInvalid(err) {
			return fmt.Errorf("patching the owners of %s: %w", o.Identity, err)
		}
		live, state, err := r.read(ctx, o.Identity)
		if err != nil {
			return err
		}
		if state == absent || live == nil {
			return nil
		}
		dropped := func(ref metav1.OwnerReference) bool { return refers(o.Owners, ref.UID) && !refers(owners, ref.UID) }
		merged := slices.DeleteFunc(slices.Clone(live.OwnerReferences), dropped)
		for i := range merged {
			if j := slices.IndexFunc(owners, func(ref metav1.OwnerReference) bool { return ref.UID == merged[i].UID }); j >= 0 {
				merged[i].BlockOwnerDeletion = owners[j].BlockOwnerDeletion
			}
		}
		if sameOwners(merged, live.OwnerReferences) {
			return nil
		}
		had, owners = live.OwnerReferences, merged
	}
}

// removeFinalizer takes one finalizer from an object, if it has it.
func (r *Reconciler) removeFinalizer(ctx context.Context, id Identity, finalizer string) error {
	for try := 1; ; try++ {
		live, state, err := r.read(ctx, id)
		if err != nil {
			return err
		}
		if state == absent || live == nil || !slices.Contains(live.Finalizers, finalizer) {
			return nil
		}
		rest := slices.DeleteFunc(slices.Clone(live.Finalizers), func(f string) bool { return f == finalizer })
		err = r.patch(ctx, id, "/metadata/finalizers", live.Finalizers, rest, len(rest) == 0)
		if err == nil || apierrors.IsNotFound(err) {
			return nil
		}
		if try == patchTries || !apierrors.IsConflict(err) && !apierrors.IsInvalid(err) {
			return fmt.Errorf("removing finalizer %s from %s: %w", finalizer, id, err)
		}
	}
}

// patch replaces the value at path, provided it is still had and the object is
// still the same; empty removes it.
func (r *Reconciler) patch(ctx context.Context, id Identity, path string, had, value any, empty bool) error {
	ops := []operation{
		{Op: "test", Path: "/metadata/uid", Value: id.UID},
		{Op: "test", Path: path, Value: had},
	}
	if empty {
		ops = append(ops, operation{Op: "remove", Path: path})
	} else {
		ops = append(ops, operation{Op: "replace", Path: path, Value: value})
	}
	data, err := json.Marshal(ops)
	if err != nil {
		return fmt.Errorf("encoding a patch of %s: %w", id, err)
	}
	return r.client.Patch(ctx, r.metadata(id), client.RawPatch(types.JSONPatchType, data))
}

// each runs f for every object, a bounded number at once, and returns the first
// error after all have returned.
func (r *Reconciler) each(ctx context.Context, objects []Object, f func(context.Context, *Object) error) error {
	var g errgroup.Group
	g.SetLimit(orphanParallelism)
	for i := range objects {
		g.Go(func() error { return f(ctx, &objects[i]) })
	}
	return g.Wait()
}
