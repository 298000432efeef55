// Package devices is what the scheduler knows of resource claims and of the
// devices they may get, including what it decided but has not written yet.
// https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/
//
// Invariants:
//
//  1. A device counts as taken from the moment a cycle decides so until a claim
//     is known to be without it; between decision and write there is no gap.
//  2. What the API tells replaces what was assumed, unless it is older.
//  3. Objects are shared and never changed.
package devices
