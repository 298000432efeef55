// Package pods decides what to do about one pod on a node. It is pure: it gets the
// pod, the runtime's state, the probes' results and the time, and returns actions, the
// status to publish and when to look again. It uses no client, clock, log or runtime.
//
// # Invariants
//
//  1. Init containers run one after another, in order; a sidecar (an init
//     container with restartPolicy Always) lets the next one start once it has
//     started (its startup probe passed), and then runs until the pod ends.
//  2. Ordinary containers start when every init container is done or, for
//     sidecars, started.
//  3. Sidecars end after the ordinary containers, in reverse order.
//  4. A terminal phase is never left, and a pod reaches one only when no
//     container of it runs.
//  5. Planning twice from the same input gives the same output.
//
// The API of this package is not stable: see docs/api.md.
package pods
