// Package statefulset keeps pods that have a name, a place in a row and storage
// of their own.
//
// It promises:
//
//  1. The pod of an ordinal is always of the same name, host name and claims, and
//     there are never two of it: a pod is created only when the one before is gone
//     from the server, whatever became of it.
//  2. Unless podManagementPolicy is Parallel, one pod is created or deleted at a
//     time, in the order of the ordinals and back, and only when all that come
//     before are available.
//  3. A rolling update goes from the highest ordinal to the partition, and takes
//     no more pods away than maxUnavailable leaves room for.
//  4. What a reconcile does is a pure function of the set, its revisions, pods and
//     claims and the time (plan), and is done only once the cache shows all
//     earlier creations and deletions.
//  5. The retention policy of claims is kept by owner references, and the garbage
//     collector deletes. Only claims that should go when the set shrinks, but whose
//     pods never came, are deleted here.
//  6. A template is a ControllerRevision (package history); status names the one
//     that the pods have and the one that they are to get.
//
// https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/
//
// The API of this package is not stable: see docs/api.md.
package statefulset
