// Package replicas keeps a number of interchangeable pods alive. It is the
// implementation that the controllers of ReplicaSets and of
// ReplicationControllers share; a Kind distinguishes them. All decisions are
// made on an apps/v1 ReplicaSet, which a Kind derives from its own object.
//
// It promises:
//
//  1. It creates and deletes pods only for an object whose earlier creations
//     and deletions the cache already shows (package expect), so a stale view
//     never leads to a surplus of pods or of deletions.
//  2. It touches only pods that the object owns by controller reference, and
//     adopts an orphan only after asking the server that the object still
//     lives under its UID (package claim).
//  3. Creations start slowly: a server that refuses the first pod is asked once.
//  4. When there are too many pods, the ones that are missed least go first;
//     the order is that of Kubernetes' documentation of ReplicaSets ("how a
//     ReplicaSet scales down"), which users rely on.
//  5. Status is written only when it differs, and pod events are paced, so that
//     the events of a thousand pods end in few writes.
//  6. An object that is being deleted gets no new pods, and its pods are left to
//     the garbage collector.
//
// The API of this package is not stable: see docs/api.md.
package replicas
