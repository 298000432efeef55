// Package resourceclaim makes the ResourceClaims of pods from templates, and
// frees claims that pods no longer need:
// https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/.
//
// One reconciler is for pods; it wakes on them, on claims they own or use, and
// on templates. One is for claims; it wakes on them and on pods that are done.
//
// Invariants:
//
//  1. A pod that is not being deleted has a claim for each template it names, owned
//     by it and named in its status. A claim's name follows from the pod's UID, so
//     that none is made twice by a cache that is behind.
//  2. A pod that was bound past the scheduler is a consumer of its claims.
//  3. A pod that is gone or done is no consumer. Absence is read live: a claim is
//     not freed because a cache is behind.
//  4. What the last consumer left has no allocation, and nothing holds it back
//     from deletion. What was made for a pod that is done is deleted.
//
// Claims for PodGroups are not made: upstream's gate for them is off.
//
// The API of this package is not stable: see docs/api.md.
package resourceclaim
