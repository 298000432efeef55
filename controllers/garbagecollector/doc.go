// Package garbagecollector deletes what its owners leave behind. It keeps the
// graph of owner references over every deletable resource, and acts on three
// kinds of deletion: background (the owner goes, then its dependents),
// foreground (finalizer foregroundDeletion: blocking dependents go first) and
// orphan (finalizer orphan: dependents are released first).
// https://kubernetes.io/docs/concepts/architecture/garbage-collection
//
// The package has three layers. graph.go holds the informers' objects: nodes and
// edges; its only output is which nodes to look at. plan.go decides what to do
// with one node, from the graph and from the states of its owners.
// reconciler.go reads owners that the graph does not have, and writes.
//
// It wakes on every object of every monitored resource. The resources come from
// Config.Resources; one with no objects (whose store was never opened) may be
// left out until it has some, since an informer per resource is not free. Kinds
// of the scheme share the typed informers of the cache, others get metadata
// only.
//
// Invariants:
//
//  1. An object is deleted only if each of its owners is known to be absent (a
//     delete event or a live read showed it) or waits for its dependents.
//     An informer's object may make an owner solid, never absent.
//  2. Every delete names the UID, and at first the resource version that the
//     decision was made on; should that be outdated, the owners are compared
//     with the live object's before the delete is repeated.
//  3. Owner references resolve in the dependent's namespace, or to
//     cluster-scoped objects. A namespaced owner of a cluster-scoped object can
//     not be resolved: such an object is never deleted.
//  4. An owner that was never observed is a virtual node until an informer sees
//     it or a live read finds that it does not exist.
//  5. An owner in foreground deletion loses its finalizer exactly when no
//     dependent blocks it. Cycles are broken by unblocking.
//  6. An owner loses its finalizer orphan only after no listed object refers to
//     it, whatever informers have reported.
//  7. One event costs O(owners); deleting an owner costs O(dependents) once.
//
// The API of this package is not stable: see docs/api.md.
package garbagecollector
