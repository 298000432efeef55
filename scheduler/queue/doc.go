// Package queue holds the pods that wait for a node.
//
// A pod is in exactly one place: active (to be tried next), backoff (was refused,
// an event may have changed that, waits 1 s to 10 s), unschedulable (waits for an
// event), gated (PreEnqueue refused it), or in flight between Pop and Done.
//
// Invariants:
//
//  1. An event that happens while a pod is in flight is not lost: it is kept
//     until every pod popped before it is done, and judged when the pod returns.
//  2. An unschedulable pod moves only by an event for which a plugin that
//     refused it returns Queue, or after five minutes.
//  3. When nothing is active, pods whose refusal was a verdict and not an error
//     are popped before their backoff ends: an idle scheduler need not wait.
//
// The API of this package is not stable: see docs/api.md.
package queue
