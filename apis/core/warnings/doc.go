// Package warnings finds what is valid in an object of the core group but probably a mistake,
// or deprecated.
//
// The API of this package is not stable: see docs/api.md.
package warnings
