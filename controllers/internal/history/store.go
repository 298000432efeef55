package history

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/controllers/internal/claim"
	"github.com/coracle-k8s/coracle/controllers/internal/owned"
)

// Store reads and writes the revisions of one owner.
type Store struct {
	// Client reads from a cache that has index.Owner and index.PodOrphan on
	// ControllerRevisions.
	Client client.Client
	// Live reads past the cache.
	Live client.Reader
	// Owner is the owner; Selector is its selector.
	Owner    client.Object
	Kind     Kind
	Selector labels.Selector
}

// List returns the owner's revisions, sorted, after adopting orphans that its
// selector matches. Those that are known to exist are read from the server when
// the cache does not show them yet.
func (s *Store) List(ctx context.Context, known ...string) ([]*appsv1.ControllerRevision, error) {
	claimer := &claim.Claimer{Client: s.Client, Live: s.Live, Owner: s.Owner, GVK: s.Kind.GroupVersionKind, Selector: s.Selector}
	revs, err := owned.Revisions(ctx, claimer)
	if err != nil {
		return nil, fmt.Errorf("claiming ControllerRevisions: %w", err)
	}
	for _, name := range known {
		if revs, err = s.include(ctx, revs, name); err != nil {
			return nil, err
		}
	}
	Sort(revs)
	return revs, nil
}

func (s *Store) include(ctx context.Context, revs []*appsv1.ControllerRevision, name string) ([]*appsv1.ControllerRevision, error) {
	if name == "" || slices.ContainsFunc(revs, func(r *appsv1.ControllerRevision) bool { return r.Name == name }) {
		return revs, nil
	}
	rev := &appsv1.ControllerRevision{}
	err := s.Live.Get(ctx, client.ObjectKey{Namespace: s.Owner.GetNamespace(), Name: name}, rev)
	switch {
	case apierrors.IsNotFound(err) || err == nil && !metav1.IsControlledBy(rev, s.Owner):
		return revs, nil
	case err != nil:
		return nil, fmt.Errorf("reading ControllerRevision %s: %w", name, err)
	}
	return append(revs, rev), nil
}

// Apply carries out a decision. It returns the revision as it is then, and the
// number of collisions that its name had to avoid, collisions included.
func (s *Store) Apply(ctx context.Context, d Decision, collisions int32) (*appsv1.ControllerRevision, int32, error) {
	switch {
	case d.Create:
		return s.create(ctx, d.Revision, collisions)
	case d.Number > 0:
		renumbered, err := s.renumber(ctx, d)
		return renumbered, collisions, err
	default:
		return d.Revision, collisions, nil
	}
}

// renumber does not leave a conflict to a later reconcile: nothing wakes the
// owner when a revision changes.
func (s *Store) renumber(ctx context.Context, d Decision) (*appsv1.ControllerRevision, error) {
	renumbered := d.Revision.DeepCopy()
	renumbered.Revision = d.Number
	err := s.Client.Update(ctx, renumbered)
	if apierrors.IsConflict(err) {
		if err := s.Live.Get(ctx, client.ObjectKeyFromObject(d.Revision), renumbered); err != nil {
			return nil, fmt.Errorf("reading ControllerRevision %s again: %w", d.Revision.Name, err)
		}
		renumbered.Revision = max(renumbered.Revision, d.Number)
		err = s.Client.Update(ctx, renumbered)
	}
	if err != nil {
		return nil, fmt.Errorf("renumbering ControllerRevision %s: %w", d.Revision.Name, err)
	}
	return renumbered, nil
}

// create tries other names as long as another revision has the name. The same
// revision under that name is one that the cache does not show yet.
func (s *Store) create(ctx context.Context, rev *appsv1.ControllerRevision, collisions int32) (*appsv1.ControllerRevision, int32, error) {
	for {
		created := rev.DeepCopy()
		s.Kind.Rename(created, s.Owner.GetName(), collisions)
		err := s.Client.Create(ctx, created)
		if err == nil {
			return created, collisions, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return nil, collisions, fmt.Errorf("creating ControllerRevision %s: %w", created.Name, err)
		}
		existing := &appsv1.ControllerRevision{}
		if err := s.Live.Get(ctx, client.ObjectKeyFromObject(created), existing); err != nil {
			return nil, collisions, fmt.Errorf("reading ControllerRevision %s, which exists: %w", created.Name, err)
		}
		if Equal(existing, rev) && (metav1.GetControllerOfNoCopy(existing) == nil || metav1.IsControlledBy(existing, s.Owner)) {
			return existing, collisions, nil
		}
		collisions++
	}
}

// Delete deletes revisions; one that is gone already is as good.
func (s *Store) Delete(ctx context.Context, revs []*appsv1.ControllerRevision) error {
	for _, r := range revs {
		gone := &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: r.Name}}
		err := s.Client.Delete(ctx, gone, client.Preconditions{UID: &r.UID})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting ControllerRevision %s: %w", r.Name, err)
		}
	}
	return nil
}
