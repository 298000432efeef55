// Package tainteviction deletes pods from nodes with NoExecute taints that they
// do not tolerate, or tolerate no longer.
// https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration
//
// It wakes on Pods that are bound, on Nodes whose NoExecute taints changed, and
// at the end of a toleration's seconds, by the injected clock.
//
// Invariants:
//
//  1. A pod that does not tolerate a NoExecute taint of its node is deleted at
//     once; one that tolerates all of them for a time is deleted when the
//     shortest such time has passed; one that tolerates them for ever stays.
//  2. The time counts from when the taint was put on the node (timeAdded) or,
//     if that is not known, first seen; never from before the pod started.
//     A restart of the process does not lengthen it where timeAdded is set.
//  3. When the taints go, so does the deadline, with an event.
//  4. Before its deletion the pod gets the condition DisruptionTarget.
//
// The API of this package is not stable: see docs/api.md.
package tainteviction
