// Package check validates fields of all kinds: each function takes the place of a field and
// its value, and returns an empty list for a valid one.
//
// The API of this package is not stable: see docs/api.md.
package check
