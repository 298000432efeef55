// Package devicetainteviction deletes pods that use devices with NoExecute
// taints which their claims do not tolerate, or tolerate no longer.
// https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/#device-taints-and-tolerations
//
// A taint comes from the driver, in a ResourceSlice, or from an administrator,
// in a DeviceTaintRule. Two reconcilers: that of pods wakes on what pods, claims,
// slices and rules change, and at the end of a toleration's seconds, by the
// injected clock; that of rules writes the progress of eviction into their status.
//
// Invariants:
//
//  1. A pod on a node is deleted at the earliest time that any taint of any
//     device in any claim that is reserved for it sets: when it was put there,
//     plus the shortest toleration of it; a toleration without an end is for ever.
//  2. Of a pool's slices only those of the newest generation count; a rule also
//     means devices that no slice has any more.
//  3. When the taints go, so does the deadline, with an event.
//  4. Before its deletion the pod gets the condition DisruptionTarget.
//  5. A rule's status is written at most once in rulePeriod for each version of
//     its specification.
//
// The API of this package is not stable: see docs/api.md.
package devicetainteviction
