// Package nodelifecycle watches over the health of nodes: it declares a node
// whose agent fell silent Unknown, taints nodes by their conditions, and paces
// how fast the pods of a failing zone may be evicted. It deletes nothing;
// package tainteviction acts on the NoExecute taints.
// https://kubernetes.io/docs/concepts/architecture/nodes
//
// It wakes on Nodes, and at the end of a grace period by the injected clock. A
// renewed Lease triggers no reconcile: at the end of the grace period the node
// is looked at, and if it was heard of meanwhile, the end moves. So 5,000 nodes
// that renew every 10 s cost 500 map writes and 125 looks a second.
//
// Invariants:
//
//  1. A node is heard of when its Lease's renewTime or its Ready condition's
//     heartbeat changes, at the time the change is seen here: clocks are not
//     compared.
//  2. A node not heard of for the grace period has its conditions Ready,
//     MemoryPressure, DiskPressure and PIDPressure Unknown, and its pods'
//     Ready condition False.
//  3. Its NoSchedule taints of the keys in plan.go are exactly those that its
//     conditions and spec.unschedulable call for; other taints stay.
//  4. A node that is Ready has neither not-ready nor unreachable with
//     NoExecute, one that is not has at most one of them. Getting the first one
//     waits for a token of the node's zone; changing or losing it does not.
//  5. A zone gives tokens at the primary rate, at the secondary rate (none at
//     all if it is small) while the unhealthy threshold is reached. If every
//     zone is down entirely, the fault is taken to be the control plane's: no pod
//     is evicted.
//
// The API of this package is not stable: see docs/api.md.
package nodelifecycle
