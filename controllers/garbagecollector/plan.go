package garbagecollector

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// ownerState is the state of an owner, as one dependent refers to it.
type ownerState int

const (
	// unknown owners need a live read.
	unknown ownerState = iota
	// solid owners exist, or did when last heard of; should they have gone,
	// their delete event brings the dependent back.
	solid
	// absent owners do not exist.
	absent
	// waiting owners are deleted in the foreground and wait for dependents.
	waiting
	// unresolvable owners are namespaced while the dependent is not.
	unresolvable
)

// verdict is the decision about one node.
type verdict struct {
	kind verdictKind
	// object is the node as the decision saw it.
	object Object
	// ask holds the owners to find out about, for askOwners.
	ask []Identity
	// owners are the references to keep, for patchOwners and unblockAndDelete.
	owners []metav1.OwnerReference
	policy metav1.DeletionPropagation
	// look holds nodes to look at as well.
	look []work
}

type verdictKind int

const (
	// Zero is to leave the node alone.
	_ verdictKind = iota
	// verify: the node is virtual, read it.
	verify
	// askOwners: read the owners in ask, then decide again.
	askOwners
	// patchOwners: write owners as the references.
	patchOwners
	// remove: delete with policy.
	remove
	// unblockAndDelete: write owners, then delete with policy.
	unblockAndDelete
	// finish: remove the finalizer foregroundDeletion.
	finish
)

// decide returns what to do about the node uid. facts holds the results of live
// reads of owners.
func (g *graph) decide(uid types.UID, facts map[Identity]ownerState) verdict {
	n := g.nodes[uid]
	if n == nil {
		return verdict{}
	}
	v := verdict{object: n.Object}
	switch {
	case n.virtual:
		if !g.knownAbsent(n.Identity) {
			v.kind = verify
		}
		return v
	case n.deletingDependents():
		if n.blocking == 0 {
			v.kind = finish
			return v
		}
		for _, d := range n.dependents {
			if !d.Deleting && n.blockedBy(d.Identity, d.Owners) {
				v.look = append(v.look, work{UID: d.UID})
			}
		}
		return v
	case n.Deleting || len(n.Owners) == 0:
		return v
	}
	var keep []metav1.OwnerReference
	isWaiting := false
	for i := range n.Owners {
		switch g.ownerState(n, &n.Owners[i], facts) {
		case unresolvable:
			return v
		case unknown:
			v.ask = append(v.ask, identityOf(&n.Owners[i], n.Namespace))
		case solid:
			keep = append(keep, n.Owners[i])
		case waiting:
			isWaiting = true
		}
	}
	if len(v.ask) > 0 {
		v.kind = askOwners
		return v
	}
	g.sentence(n, keep, isWaiting, &v)
	return v
}

// sentence decides about a node all of whose owners are known.
func (g *graph) sentence(n *node, keep []metav1.OwnerReference, isWaiting bool, v *verdict) {
	switch {
	case len(keep) == len(n.Owners):
	case len(keep) > 0:
		// A reference to a waiting owner must go too, else that owner waits for
		// an object that another owner keeps alive.
		v.kind, v.owners = patchOwners, keep
	case isWaiting && len(n.dependents) > 0:
		// The owner waits for this node, so this node waits for its own.
		v.kind, v.policy = remove, metav1.DeletePropagationForeground
		for _, d := range n.dependents {
			if d.deletingDependents() {
				v.kind, v.owners = unblockAndDelete, unblocked(n.Owners)
				break
			}
		}
	case n.Orphan:
		v.kind, v.policy = remove, metav1.DeletePropagationOrphan
	case n.Foreground:
		v.kind, v.policy = remove, metav1.DeletePropagationForeground
	default:
		v.kind, v.policy = remove, metav1.DeletePropagationBackground
	}
}

func (g *graph) ownerState(n *node, ref *metav1.OwnerReference, facts map[Identity]ownerState) ownerState {
	id := identityOf(ref, n.Namespace)
	if s, ok := facts[id]; ok {
		return s
	}
	if g.knownAbsent(id) {
		return absent
	}
	owner := g.nodes[ref.UID]
	if owner == nil || owner.virtual || !names(n, owner.Identity) {
		return unknown
	}
	if owner.deletingDependents() {
		return waiting
	}
	return solid
}

// knownAbsent looks for the identity itself and for a cluster-scoped object of
// the name: a dependent may mean either.
func (g *graph) knownAbsent(id Identity) bool {
	if _, ok := g.absent.Get(id); ok {
		return true
	}
	id.Namespace = ""
	_, ok := g.absent.Get(id)
	return ok
}

// dependentsOf returns the objects that name uid as an owner, in order.
func (g *graph) dependentsOf(uid types.UID) []Object {
	n := g.nodes[uid]
	if n == nil {
		return nil
	}
	out := make([]Object, 0, len(n.dependents))
	for _, d := range n.dependents {
		out = append(out, d.Object)
	}
	slices.SortFunc(out, func(a, b Object) int { return compareIdentity(a.Identity, b.Identity) })
	return out
}

func unblocked(refs []metav1.OwnerReference) []metav1.OwnerReference {
	out := slices.Clone(refs)
	for i := range out {
		if out[i].BlockOwnerDeletion != nil {
			f := false
			out[i].BlockOwnerDeletion = &f
		}
	}
	return out
}

// without returns the references but those to uid.
func without(refs []metav1.OwnerReference, uid types.UID) []metav1.OwnerReference {
	return slices.DeleteFunc(slices.Clone(refs), func(r metav1.OwnerReference) bool { return r.UID == uid })
}

// sameOwners compares references regardless of their order.
func sameOwners(a, b []metav1.OwnerReference) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !equalRef(&a[i], &b[i]) && !slices.ContainsFunc(b, func(r metav1.OwnerReference) bool { return equalRef(&a[i], &r) }) {
			return false
		}
	}
	return true
}

func equalRef(a, b *metav1.OwnerReference) bool {
	flag := func(p *bool) bool { return p != nil && *p }
	return a.UID == b.UID && a.Name == b.Name && a.Kind == b.Kind && a.APIVersion == b.APIVersion &&
		flag(a.Controller) == flag(b.Controller) && flag(a.BlockOwnerDeletion) == flag(b.BlockOwnerDeletion)
}

func compareIdentity(a, b Identity) int {
	return cmp.Or(
		cmp.Compare(a.APIVersion, b.APIVersion), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
}
