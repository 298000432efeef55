package garbagecollector

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// world is a dumb API server: it holds objects, applies deletes with their
// propagation policy, and logs the events that an informer would deliver.
type world struct {
	objects map[types.UID]*Object
	rv      int
	events  []func(*graph) outcome
}

func (w *world) put(o *Object) {
	w.rv++
	o.ResourceVersion = fmt.Sprint(w.rv)
	w.objects[o.UID] = o
	seen := *o
	seen.Owners = slices.Clone(o.Owners)
	w.events = append(w.events, func(g *graph) outcome { return g.observe(seen) })
}

func (w *world) settle(o *Object) {
	if o.Deleting && !o.Foreground && !o.Orphan {
		delete(w.objects, o.UID)
		id := o.Identity
		w.events = append(w.events, func(g *graph) outcome { return g.forget(id) })
		return
	}
	w.put(o)
}

func (w *world) remove(uid types.UID, policy metav1.DeletionPropagation) {
	o := w.objects[uid]
	if o == nil || o.Deleting {
		return
	}
	o.Deleting = true
	o.Orphan = policy == metav1.DeletePropagationOrphan
	o.Foreground = policy == metav1.DeletePropagationForeground
	w.settle(o)
}

// owner returns what a live read of id finds.
func (w *world) owner(id Identity) ownerState {
	o := w.objects[id.UID]
	switch {
	case id.Kind == "Thing" && id.Namespace == "":
		return unresolvable
	case o == nil || o.Name != id.Name || o.Namespace != "" && o.Namespace != id.Namespace:
		return absent
	case o.deletingDependents():
		return waiting
	}
	return solid
}

// carry runs one piece of work as the reconciler would.
func (w *world) carry(t *testing.T, g *graph, item work) (more []work) {
	t.Helper()
	if item.Release {
		for _, d := range g.dependentsOf(item.UID) {
			if o := w.objects[d.UID]; o != nil {
				o.Owners = without(o.Owners, item.UID)
				w.put(o)
			}
		}
		if o := w.objects[item.UID]; o != nil && o.Orphan {
			o.Orphan = false
			w.settle(o)
		}
		return nil
	}
	facts := map[Identity]ownerState{}
	for {
		v := g.decide(item.UID, facts)
		o := w.objects[item.UID]
		switch v.kind {
		case askOwners:
			for _, id := range v.ask {
				facts[id] = w.owner(id)
				if facts[id] == absent {
					g.absent.Add(id, nil)
				}
			}
			continue
		case verify:
			if w.owner(v.object.Identity) == absent {
				return g.disprove(v.object.Identity).look
			}
			return nil
		case patchOwners, unblockAndDelete:
			if o == nil || !sameOwners(o.Owners, v.object.Owners) {
				return []work{item}
			}
			o.Owners = v.owners
			w.put(o)
			if v.kind == unblockAndDelete {
				w.remove(item.UID, v.policy)
			}
		case remove:
			if o != nil && o.ResourceVersion != v.object.ResourceVersion && !sameOwners(o.Owners, v.object.Owners) {
				return []work{item}
			}
			w.remove(item.UID, v.policy)
		case finish:
			if o != nil && o.Foreground {
				o.Foreground = false
				w.settle(o)
			}
		}
		return v.look
	}
}

// run drives the graph with events and work in random order until nothing is
// left to do.
func (w *world) run(t *testing.T, g *graph, rnd *rand.Rand) {
	t.Helper()
	pending := map[work]bool{}
	for step := 0; len(w.events) > 0 || len(pending) > 0; step++ {
		if step > 200000 {
			t.Fatalf("does not come to rest: %d events, work %v", len(w.events), pending)
		}
		if len(w.events) > 0 && (len(pending) == 0 || rnd.Intn(3) > 0) {
			tell := w.events[0]
			w.events = w.events[1:]
			for _, l := range tell(g).look {
				pending[l] = true
			}
			check(t, g)
			continue
		}
		items := make([]work, 0, len(pending))
		for i := range pending {
			items = append(items, i)
		}
		slices.SortFunc(items, func(a, b work) int {
			if a.UID != b.UID {
				if a.UID < b.UID {
					return -1
				}
				return 1
			}
			if a.Release {
				return 1
			}
			return -1
		})
		item := items[rnd.Intn(len(items))]
		delete(pending, item)
		for _, l := range w.carry(t, g, item) {
			pending[l] = true
		}
		check(t, g)
	}
}

// check verifies the graph's invariants.
func check(t *testing.T, g *graph) {
	t.Helper()
	for uid, n := range g.nodes {
		blocking := 0
		for _, d := range n.dependents {
			if g.nodes[d.UID] != d || !refers(d.Owners, uid) {
				t.Fatalf("%s has a dependent %s that is not one", uid, d.UID)
			}
			if n.blockedBy(d.Identity, d.Owners) {
				blocking++
			}
		}
		if blocking != n.blocking {
			t.Fatalf("%s: %d dependents block, counted %d", uid, blocking, n.blocking)
		}
		for i := range n.Owners {
			o := g.nodes[n.Owners[i].UID]
			if o == nil || o.dependents[uid] != n {
				t.Fatalf("%s is not a dependent of its owner %s", uid, n.Owners[i].UID)
			}
		}
	}
}

// oracle returns which objects survive: the dumb fixpoint of the documented rules. An
// object goes if it was deleted, or if it had owners and all are gone, where an orphaning
// owner counts as released and a namespaced owner counts only in its own namespace.
func oracle(before map[types.UID]Object, deleted map[types.UID]metav1.DeletionPropagation) map[types.UID]bool {
	alive := map[types.UID]bool{}
	for uid := range before {
		_, gone := deleted[uid]
		alive[uid] = !gone
	}
	for changed := true; changed; {
		changed = false
		for uid, o := range before {
			if !alive[uid] || len(o.Owners) == 0 {
				continue
			}
			keep, released, bad := 0, 0, 0
			for _, ref := range o.Owners {
				owner, exists := before[ref.UID]
				switch {
				case ref.Kind == "Thing" && o.Namespace == "":
					bad++
				case exists && owner.Namespace != "" && owner.Namespace != o.Namespace:
				case exists && alive[ref.UID]:
					keep++
				case deleted[ref.UID] == metav1.DeletePropagationOrphan:
					released++
				}
			}
			if keep+bad == 0 && released == 0 {
				alive[uid] = false
				changed = true
			}
		}
	}
	return alive
}

func ref(o *Object, block bool) metav1.OwnerReference {
	r := metav1.OwnerReference{APIVersion: o.APIVersion, Kind: o.Kind, Name: o.Name, UID: o.UID}
	if block {
		r.BlockOwnerDeletion = &block
	}
	return r
}

// unresolved objects are never collected; with a second owner that waits for
// them they would keep it for ever, upstream too, which the oracle leaves out.
func unresolved(o *Object) bool {
	return o.Namespace == "" && slices.ContainsFunc(o.Owners, func(r metav1.OwnerReference) bool { return r.Kind == "Thing" })
}

// Random graphs, deleted in random ways, end as the oracle computes. They have
// no orphaning owners beside others: whether an object released by one owner
// survives while its others go depends on which comes first, upstream too.
func TestGraphAgainstOracle(t *testing.T) {
	for seed := range int64(3000) {
		rnd := rand.New(rand.NewSource(seed))
		w := &world{objects: map[types.UID]*Object{}}
		n := 2 + rnd.Intn(12)
		orphans := rnd.Intn(4) == 0
		var all []*Object
		for i := range n {
			o := &Object{Identity: Identity{APIVersion: "v1", Kind: "Thing", Name: fmt.Sprint("n", i), UID: types.UID(fmt.Sprint("u", i))}}
			o.Namespace = []string{"", "a", "a", "b"}[rnd.Intn(4)]
			if orphans {
				o.Namespace = "a"
			}
			if o.Namespace == "" {
				o.Kind = "Global"
			}
			owners := rnd.Intn(3)
			if orphans {
				owners = rnd.Intn(2)
			}
			for range owners {
				switch {
				case len(all) > 0:
					owner := all[rnd.Intn(len(all))]
					mixed := o.Namespace == "" && owner.Namespace != "" && len(o.Owners) > 0
					if !refers(o.Owners, owner.UID) && !mixed && !unresolved(o) {
						o.Owners = append(o.Owners, ref(owner, rnd.Intn(2) == 0))
					}
				case rnd.Intn(4) == 0 && o.Namespace != "":
					o.Owners = append(o.Owners, metav1.OwnerReference{APIVersion: "v1", Kind: "Thing", Name: "never", UID: "never"})
				}
			}
			all = append(all, o)
		}
		// Sometimes an early object names a later one: cycles.
		if !orphans && rnd.Intn(3) == 0 {
			a, b := all[rnd.Intn(n)], all[rnd.Intn(n)]
			if a != b && !refers(a.Owners, b.UID) && (a.Namespace != "" || b.Namespace == "") && !unresolved(a) {
				a.Owners = append(a.Owners, ref(b, true))
			}
		}
		before := map[types.UID]Object{}
		for _, i := range rnd.Perm(n) {
			w.put(all[i])
			before[all[i].UID] = *all[i]
		}
		g := newGraph()
		if rnd.Intn(2) == 0 {
			w.run(t, g, rnd)
		}
		deleted := map[types.UID]metav1.DeletionPropagation{}
		for range 1 + rnd.Intn(3) {
			uid := all[rnd.Intn(n)].UID
			if o := w.objects[uid]; o == nil || o.Deleting {
				continue
			}
			policy := []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground}[rnd.Intn(2)]
			if orphans {
				policy = metav1.DeletePropagationOrphan
			}
			deleted[uid] = policy
			w.remove(uid, policy)
		}
		w.run(t, g, rnd)
		want := oracle(before, deleted)
		for uid := range before {
			if _, alive := w.objects[uid]; alive != want[uid] {
				t.Fatalf("seed %d: %s alive %t, want %t\nbefore %s\ndeleted %v", seed, uid, alive, want[uid], show(before), deleted)
			}
		}
		for uid, n := range g.nodes {
			if _, exists := w.objects[uid]; !exists && !n.virtual {
				t.Fatalf("seed %d: node %s outlived its object", seed, uid)
			}
		}
	}
}

func TestInvalidNamespaceIsReported(t *testing.T) {
	owner := Object{Identity: Identity{APIVersion: "v1", Kind: "Thing", Namespace: "a", Name: "o", UID: "o"}}
	dependent := Object{Identity: Identity{APIVersion: "v1", Kind: "Thing", Namespace: "b", Name: "d", UID: "d"},
		Owners: []metav1.OwnerReference{ref(&owner, false)}}
	for _, order := range [][]Object{{owner, dependent}, {dependent, owner}} {
		g := newGraph()
		var reports []invalidRef
		for _, o := range order {
			reports = append(reports, g.observe(o).invalid...)
		}
		if len(reports) != 1 || reports[0].Dependent != dependent.Identity {
			t.Errorf("reports %+v", reports)
		}
	}
	if got, want := describe(dependent.Owners[0]), "[v1/Thing, namespace: , name: o, uid: o]"; got != want {
		t.Errorf("owner described as %s, want %s", got, want)
	}
}

// Deleting the owner of n dependents in the foreground must look at each a
// constant number of times.
func TestForegroundIsLinear(t *testing.T) {
	const n = 1000
	w := &world{objects: map[types.UID]*Object{}}
	g := newGraph()
	owner := &Object{Identity: Identity{APIVersion: "v1", Kind: "RS", Namespace: "a", Name: "o", UID: "o"}}
	w.put(owner)
	for i := range n {
		w.put(&Object{Identity: Identity{APIVersion: "v1", Kind: "Pod", Namespace: "a", Name: fmt.Sprint(i), UID: types.UID(fmt.Sprint(i))},
			Owners: []metav1.OwnerReference{ref(owner, true)}})
	}
	w.remove("o", metav1.DeletePropagationForeground)
	looks := 0
	var pending []work
	for len(w.events) > 0 || len(pending) > 0 {
		for len(w.events) > 0 {
			tell := w.events[0]
			w.events = w.events[1:]
			pending = append(pending, tell(g).look...)
		}
		if len(pending) > 0 {
			item := pending[0]
			pending = append(pending[1:], w.carry(t, g, item)...)
			looks++
		}
	}
	if len(w.objects) != 0 || looks > 4*n {
		t.Errorf("%d objects left after %d looks", len(w.objects), looks)
	}
}

func show(objects map[types.UID]Object) string {
	out := ""
	for uid, o := range objects {
		out += fmt.Sprintf("\n%s in %q:", uid, o.Namespace)
		for _, r := range o.Owners {
			out += fmt.Sprintf(" %s(block %t)", r.UID, r.BlockOwnerDeletion != nil)
		}
	}
	return out
}
