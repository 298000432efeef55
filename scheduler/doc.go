// Package scheduler gives pods their nodes: Kubernetes' scheduler on the plugin
// interfaces of k8s.io/kube-scheduler/framework.
//
// One goroutine takes pods from the queue and decides, one after the other, on a
// snapshot of the cluster (the scheduling cycle); the decision is assumed at
// once and written to the API by a bounded number of others (the binding cycle).
//
// Packages, from the inside out: cache (nodes and what is on them), queue (pods
// that wait), framework (runs plugins), plugins/<name> (each rule by itself).
//
// Invariants:
//
//  1. Only the cycle reads the snapshot; only it, and handlers of the API's
//     events, change the cache.
//  2. A popped pod is always either bound, put back, or gone; never lost.
//  3. What users read (events, conditions, reasons, metrics) has Kubernetes' words.
//
// The API of this package is not stable: see docs/api.md.
package scheduler
