// Package devices holds the resource claims and the devices they may get for the
// scheduler, including what it decided but has not written yet.
// https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/
//
// Invariants:
//
//  1. A device counts as taken from the moment a cycle decides so until a claim
//     is known to be without it; between decision and write there is no gap.
//  2. An object from an event replaces what was assumed, unless it is older.
//  3. Objects are shared and never changed.
//
// The API of this package is not stable: see docs/api.md.
package devices
