package garbagecollector

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
)

// Identity locates an object, with the fields of an owner reference. Namespace
// is empty for cluster-scoped objects.
type Identity struct {
	APIVersion, Kind, Namespace, Name string
	UID                               types.UID
}

// Object holds the fields of an object that the graph needs.
type Object struct {
	Identity
	ResourceVersion string
	Owners          []metav1.OwnerReference
	// Deleting is set if the deletion timestamp is.
	Deleting bool
	// Orphan and Foreground are set if the finalizers orphan and
	// foregroundDeletion are there.
	Orphan, Foreground bool
}

func (o *Object) deletingDependents() bool { return o.Deleting && o.Foreground }
func (o *Object) orphaning() bool          { return o.Deleting && o.Orphan }

// node is an object of the graph. A virtual node was named by a dependent but
// has not been observed; its identity is a guess.
type node struct {
	Object
	virtual    bool
	dependents map[types.UID]*node
	// blocking counts the dependents that block the deletion of an observed
	// node: by blockOwnerDeletion, and from where they can name it at all.
	blocking int
}

// work is a node to look at.
type work struct {
	UID types.UID
	// Release asks to take the node out of its dependents' owner references;
	// otherwise the question is whether the node is to be deleted.
	Release bool
}

// invalidRef is an owner reference to an object in another namespace.
type invalidRef struct {
	Dependent Identity
	Owner     metav1.OwnerReference
}

// outcome holds the consequences of an event.
type outcome struct {
	look    []work
	invalid []invalidRef
}

func (o *outcome) add(n *node)     { o.look = append(o.look, work{UID: n.UID}) }
func (o *outcome) release(n *node) { o.look = append(o.look, work{UID: n.UID, Release: true}) }
func (o *outcome) mismatch(d, of *node) {
	for _, ref := range d.Owners {
		if ref.UID == of.UID {
			o.invalid = append(o.invalid, invalidRef{d.Identity, ref})
			return
		}
	}
}

// graph holds every object by its UID. It is not safe for concurrent use, does no
// input or output and has no clock.
//
//  1. n.dependents[d.UID] == d exactly if n is in the graph and d.Owners names
//     n.UID; every UID named by an owner reference is in the graph.
//  2. n.blocking is the number of those for which n.blockedBy; 0 if n is virtual.
//  3. A virtual node has dependents, unless it is about to be verified.
type graph struct {
	nodes map[types.UID]*node
	// absent holds identities known not to exist. UIDs are never used again, so
	// an entry never becomes wrong.
	absent *lru.Cache
}

// absentMemory bounds the memory of absent owners; one that was forgotten costs
// a live read.
const absentMemory = 8192

func newGraph() *graph {
	return &graph{nodes: map[types.UID]*node{}, absent: lru.New(absentMemory)}
}

// observe records an object from an informer.
func (g *graph) observe(o Object) outcome {
	var out outcome
	n := g.nodes[o.UID]
	if n == nil {
		n = &node{Object: o}
		g.nodes[o.UID] = n
		g.link(n, o.Owners, &out)
		g.transition(&Object{}, n, &out)
		return out
	}
	before := n.Object
	if n.virtual {
		g.realize(n, o.Identity, &out)
		before = Object{}
	}
	n.Object = o
	if !sameOwners(before.Owners, o.Owners) {
		g.unlink(n, before.Owners, o.Owners, &out)
		g.link(n, o.Owners, &out)
	}
	g.transition(&before, n, &out)
	return out
}

// realize turns a virtual node into an observed one at id. Dependents that
// meant another object by this UID are to be looked at.
func (g *graph) realize(n *node, id Identity, out *outcome) {
	n.virtual = false
	n.Identity = id
	for _, d := range n.dependents {
		if n.blockedBy(d.Identity, d.Owners) {
			n.blocking++
		}
		if names(d, id) {
			continue
		}
		if id.Namespace != "" && d.Namespace != id.Namespace {
			out.mismatch(d, n)
		}
		out.add(d)
	}
}

// link makes n a dependent of its owners; those that the graph does not have
// become virtual and are to be verified.
func (g *graph) link(n *node, owners []metav1.OwnerReference, out *outcome) {
	for i := range owners {
		ref := &owners[i]
		owner := g.nodes[ref.UID]
		if owner == nil {
			owner = &node{virtual: true, Object: Object{Identity: identityOf(ref, n.Namespace)}}
			g.nodes[ref.UID] = owner
			out.add(owner)
		}
		if g.knownAbsent(identityOf(ref, n.Namespace)) {
			// No event will announce that owner's end again.
			out.add(n)
		}
		if owner.dependents[n.UID] != nil {
			continue
		}
		if owner.dependents == nil {
			owner.dependents = map[types.UID]*node{}
		}
		owner.dependents[n.UID] = n
		if owner.blockedBy(n.Identity, owners) {
			owner.blocking++
		}
		switch {
		case !names(n, owner.Identity):
			if !owner.virtual && owner.Namespace != "" && owner.Namespace != n.Namespace {
				out.mismatch(n, owner)
			}
			out.add(n)
		case owner.deletingDependents():
			out.add(n)
		}
	}
}

// unlink takes n out of the owners it had, as far as they changed. An owner
// that nothing blocks any more is to be looked at.
func (g *graph) unlink(n *node, before, after []metav1.OwnerReference, out *outcome) {
	for i := range before {
		owner := g.nodes[before[i].UID]
		if owner == nil || owner.dependents[n.UID] == nil {
			continue
		}
		had := owner.blockedBy(n.Identity, before)
		if refers(after, owner.UID) && had == owner.blockedBy(n.Identity, after) {
			continue
		}
		g.detach(owner, n, had, out)
	}
}

func (g *graph) detach(owner, n *node, blocked bool, out *outcome) {
	delete(owner.dependents, n.UID)
	if blocked {
		owner.blocking--
	}
	if owner.deletingDependents() && owner.blocking == 0 {
		out.add(owner)
	}
	if owner.virtual && len(owner.dependents) == 0 {
		delete(g.nodes, owner.UID)
	}
}

// transition looks at what n has begun to wait for.
func (g *graph) transition(before *Object, n *node, out *outcome) {
	switch {
	case n.orphaning() && !before.orphaning():
		out.release(n)
	case n.deletingDependents() && !before.deletingDependents():
		for _, d := range n.dependents {
			out.add(d)
		}
		out.add(n)
	}
}

// forget removes an object whose end an informer announced.
func (g *graph) forget(id Identity) outcome {
	var out outcome
	if n := g.nodes[id.UID]; n != nil {
		g.remove(n, id, &out)
	}
	return out
}

// disprove records that a live read found no object of this identity. The node
// stays if others mean something else by its UID.
func (g *graph) disprove(id Identity) outcome {
	var out outcome
	g.absent.Add(id, nil)
	n := g.nodes[id.UID]
	if n == nil {
		return out
	}
	var others []*node
	for _, d := range n.dependents {
		if names(d, id) {
			out.add(d)
		} else {
			others = append(others, d)
		}
	}
	switch {
	case !n.virtual && n.Identity != id:
		// Observed elsewhere: the event of its deletion is not this one.
	case n.virtual && len(others) > 0:
		if n.Identity == id {
			n.Identity = alternative(others, id)
			out.add(n)
		}
	default:
		out.look = nil
		g.remove(n, id, &out)
	}
	return out
}

// alternative returns another identity that dependents know the UID by: the
// smallest, so that the choice does not hang on the order of a map.
func alternative(dependents []*node, not Identity) Identity {
	var all []Identity
	for _, d := range dependents {
		for i := range d.Owners {
			if d.Owners[i].UID == not.UID {
				all = append(all, identityOf(&d.Owners[i], d.Namespace))
			}
		}
	}
	return slices.MinFunc(all, compareIdentity)
}

func (g *graph) remove(n *node, id Identity, out *outcome) {
	delete(g.nodes, n.UID)
	for i := range n.Owners {
		if owner := g.nodes[n.Owners[i].UID]; owner != nil && owner.dependents[n.UID] != nil {
			g.detach(owner, n, owner.blockedBy(n.Identity, n.Owners), out)
		}
	}
	if len(n.dependents) == 0 {
		return
	}
	g.absent.Add(id, nil)
	// The dependents still name the UID: a node without identity of its own
	// keeps the graph's first invariant until they go or let go.
	ghost := &node{virtual: true, Object: Object{Identity: id}, dependents: n.dependents}
	g.nodes[n.UID] = ghost
	for _, d := range n.dependents {
		out.add(d)
	}
}

// unsee makes every node of a resource virtual: it is no longer monitored, so
// there will be no events of its deletions.
func (g *graph) unsee(match func(Identity) bool) {
	for uid, n := range g.nodes {
		if n.virtual || !match(n.Identity) {
			continue
		}
		var out outcome
		for i := range n.Owners {
			if owner := g.nodes[n.Owners[i].UID]; owner != nil && owner.dependents[uid] != nil {
				g.detach(owner, n, owner.blockedBy(n.Identity, n.Owners), &out)
			}
		}
		if len(n.dependents) == 0 {
			delete(g.nodes, uid)
			continue
		}
		n.virtual, n.blocking, n.Object = true, 0, Object{Identity: n.Identity}
	}
}

// blockedBy reports whether an object at d with these references keeps n from
// going before it. One in another namespace can not: it does not mean n.
func (n *node) blockedBy(d Identity, owners []metav1.OwnerReference) bool {
	return !n.virtual && (n.Namespace == "" || n.Namespace == d.Namespace) && blocks(owners, n.UID)
}

// names reports whether d means the object at id by its reference to that UID.
func names(d *node, id Identity) bool {
	if id.Namespace != "" && id.Namespace != d.Namespace {
		return false
	}
	return slices.ContainsFunc(d.Owners, func(r metav1.OwnerReference) bool {
		return r.UID == id.UID && r.Name == id.Name && r.Kind == id.Kind && r.APIVersion == id.APIVersion
	})
}

func identityOf(ref *metav1.OwnerReference, namespace string) Identity {
	return Identity{APIVersion: ref.APIVersion, Kind: ref.Kind, Namespace: namespace, Name: ref.Name, UID: ref.UID}
}

func refers(owners []metav1.OwnerReference, uid types.UID) bool {
	return slices.ContainsFunc(owners, func(r metav1.OwnerReference) bool { return r.UID == uid })
}

func blocks(owners []metav1.OwnerReference, uid types.UID) bool {
	return slices.ContainsFunc(owners, func(r metav1.OwnerReference) bool {
		return r.UID == uid && r.BlockOwnerDeletion != nil && *r.BlockOwnerDeletion
	})
}
