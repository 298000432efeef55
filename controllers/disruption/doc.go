// Package disruption writes into the status of each PodDisruptionBudget how many
// of its pods may be evicted; the eviction subresource and the scheduler use it.
//
// It promises:
//
//  1. When it is not known how many pods there should be, none may be evicted.
//  2. How many there should be is the sum of the scales of the pods' controllers:
//     Deployments, ReplicaSets, ReplicationControllers and StatefulSets by the
//     cache, anything else by its scale subresource. Pods without a controller do
//     not count, but an event reports them.
//  3. A pod whose eviction was granted is not healthy for two minutes; if it is
//     not being deleted by then, the eviction is taken to have failed.
//  4. A DisruptionTarget condition of a pod that two minutes later is not being
//     deleted is set to False, unless the node's agent set it.
//
// https://kubernetes.io/docs/concepts/workloads/pods/disruptions/
//
// The API of this package is not stable: see docs/api.md.
package disruption
