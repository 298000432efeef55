// Package volumeprotection keeps claims, volumes and volume attributes classes
// that are in use from going away:
// https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection.
//
// Three reconcilers, one per kind, as upstream has them:
//
//   - Claims wakes on claims and on pods that come, end or go.
//   - Volumes wakes on volumes.
//   - AttributesClasses wakes on classes, and on claims and volumes that leave one.
//
// Invariants:
//
//  1. What is not being deleted has its finalizer (admission puts it there; here
//     it is added to what is older than that).
//  2. The finalizer goes only when nothing uses the object: a claim no pod that
//     is on a node, a volume no claim that it is bound to, a class no claim and
//     no volume. Before it goes from a claim, pods are read past the cache.
//  3. A bound claim has the condition Unused: with the time since which no pod that
//     has not ended refers to it, or False if one does. The claim's pods change it,
//     not the time.
//
// The API of this package is not stable: see docs/api.md.
package volumeprotection
