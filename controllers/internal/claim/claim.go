// Package claim decides which objects belong to a controller and makes it so:
// it adopts matching orphans, releases objects whose labels no longer match,
// and leaves what belongs to others alone. The contract is upstream's
// design-proposals/api-machinery/controller-ref.md.
//
// The API of this package is not stable: see docs/api.md.
package claim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Verdict is a controller's action on one object.
type Verdict int

const (
	// Ignore means that the object is none of the controller's business.
	Ignore Verdict = iota
	// Keep means that the object is the controller's already.
	Keep
	// Adopt means that the object is an orphan that matches.
	Adopt
	// Release means that the object is the controller's but no longer matches.
	Release
)

// judge returns owner's action on obj, whose labels its selector matches or not.
func judge(owner metav1.Object, matches bool, obj metav1.Object) Verdict {
	ref := metav1.GetControllerOfNoCopy(obj)
	switch {
	case ref != nil && ref.UID != owner.GetUID():
		return Ignore
	case ref != nil && matches:
		return Keep
	case ref != nil && owner.GetDeletionTimestamp() == nil:
		return Release
	case ref == nil && matches && owner.GetDeletionTimestamp() == nil && obj.GetDeletionTimestamp() == nil:
		return Adopt
	default:
		return Ignore
	}
}

// ErrOwnerGone is returned when an object was not adopted because its would-be
// owner has been deleted, or replaced by another of its name, since it was read.
var ErrOwnerGone = errors.New("owner was deleted or replaced")

// Claimer adopts and releases objects for one owner.
type Claimer struct {
	// Client writes.
	Client client.Client
	// Live reads past the cache, to recheck the owner before an adoption.
	Live client.Reader
	// Owner is the controller; GVK is its kind.
	Owner client.Object
	GVK   schema.GroupVersionKind
	// Selector is the controller's selector. It must not be empty.
	Selector labels.Selector
	// Finalizer, when set, is given to what is adopted and taken from what is
	// released.
	Finalizer string
	// Member, when set, must hold for an object besides the selector.
	Member func(metav1.Object) bool

	rechecked bool
	recheck   error
}

// Claim returns those of objs that belong to the owner, adopting and releasing
// by judge. An object that vanishes meanwhile is skipped. Errors are joined;
// the objects that were claimed in spite of them are returned too.
func Claim[T client.Object](ctx context.Context, c *Claimer, objs []T) ([]T, error) {
	var errs []error
	claimed := make([]T, 0, len(objs))
	for _, obj := range objs {
		matches := c.Selector.Matches(labels.Set(obj.GetLabels())) && (c.Member == nil || c.Member(obj))
		switch judge(c.Owner, matches, obj) {
		case Keep:
			claimed = append(claimed, obj)
		case Adopt:
			ok, err := c.adopt(ctx, obj)
			if err != nil {
				errs = append(errs, err)
			}
			if ok {
				claimed = append(claimed, obj)
			}
		case Release:
			if err := c.release(ctx, obj); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return claimed, errors.Join(errs...)
}

// OwnerReference returns the reference that marks an object as owned by owner
// and keeps a foreground deletion of owner waiting for it.
func OwnerReference(owner metav1.Object, gvk schema.GroupVersionKind) metav1.OwnerReference {
	return *metav1.NewControllerRef(owner, gvk)
}

func (c *Claimer) adopt(ctx context.Context, obj client.Object) (bool, error) {
	if err := c.ownerLives(ctx); err != nil {
		return false, fmt.Errorf("adopting %s: %w", client.ObjectKeyFromObject(obj), err)
	}
	meta := map[string]any{"ownerReferences": []any{OwnerReference(c.Owner, c.GVK)}}
	if c.Finalizer != "" {
		meta["finalizers"] = []string{c.Finalizer}
	}
	err := c.patch(ctx, obj, meta)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("adopting %s: %w", client.ObjectKeyFromObject(obj), err)
	}
	return true, nil
}

func (c *Claimer) release(ctx context.Context, obj client.Object) error {
	meta := map[string]any{"ownerReferences": []any{map[string]any{"$patch": "delete", "uid": c.Owner.GetUID()}}}
	if c.Finalizer != "" {
		meta["$deleteFromPrimitiveList/finalizers"] = []string{c.Finalizer}
	}
	err := c.patch(ctx, obj, meta)
	// Invalid: the object of that UID is gone, or no longer has the reference.
	if apierrors.IsNotFound(err) || apierrors.IsInvalid(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("releasing %s: %w", client.ObjectKeyFromObject(obj), err)
	}
	return nil
}

// patch names the object's UID, so that the server refuses it for another
// object of the same name. A copy is patched: cached objects are shared.
func (c *Claimer) patch(ctx context.Context, obj client.Object, meta map[string]any) error {
	meta["uid"] = obj.GetUID()
	body, err := json.Marshal(map[string]any{"metadata": meta})
	if err != nil {
		return fmt.Errorf("encoding metadata: %w", err)
	}
	copied, ok := obj.DeepCopyObject().(client.Object)
	if !ok {
		return fmt.Errorf("copying %T: not an API object", obj)
	}
	return c.Client.Patch(ctx, copied, client.RawPatch(types.StrategicMergePatchType, body))
}

// ownerLives asks the server once per Claimer: the cache may not know yet that
// the owner is going, and the garbage collector must not race an adoption.
func (c *Claimer) ownerLives(ctx context.Context) error {
	if c.rechecked {
		return c.recheck
	}
	c.rechecked = true
	fresh, ok := c.Owner.DeepCopyObject().(client.Object)
	if !ok {
		c.recheck = fmt.Errorf("copying %T: not an API object", c.Owner)
		return c.recheck
	}
	err := c.Live.Get(ctx, client.ObjectKeyFromObject(c.Owner), fresh)
	switch {
	case apierrors.IsNotFound(err):
		c.recheck = ErrOwnerGone
	case err != nil:
		c.recheck = fmt.Errorf("rechecking owner %s: %w", client.ObjectKeyFromObject(c.Owner), err)
	case fresh.GetUID() != c.Owner.GetUID() || fresh.GetDeletionTimestamp() != nil:
		c.recheck = ErrOwnerGone
	}
	return c.recheck
}
