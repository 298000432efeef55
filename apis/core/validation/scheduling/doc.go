// Package scheduling validates what a pod asks of the nodes it runs on.
//
// The API of this package is not stable: see docs/api.md.
package scheduling
