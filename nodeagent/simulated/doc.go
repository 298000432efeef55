// Package simulated registers nodes without machines. A pod bound to one of them
// becomes Running and Ready at once, with one write, and goes when it is deleted.
// Thousands of nodes and tens of thousands of pods share one event handler, one
// queue with a bounded number of writers, and one timer for all leases.
//
// A pod ends by itself only if it asks to, by annotations:
//
//	coracle.dev/simulated-exit-after: 3s   how long each container runs
//	coracle.dev/simulated-exit-code: "1"   its exit code, 0 by default
//	coracle.dev/simulated-failing-indexes: "1,4"   pods of an indexed Job with
//	    these completion indexes exit with code 1 instead of 0
//
// By the pod's restart policy it then restarts (with a restart count) or ends as
// Succeeded or Failed.
//
// # Invariants
//
//  1. Two pods never have one address, also across restarts, unless they use the
//     host's network.
//  2. A pod whose status is already what it should be is not written.
//  3. A pod is removed only after its deletion was asked for.
//
// The API of this package is not stable: see docs/api.md.
package simulated
