// Package warnings finds what is valid in an object of the core group but probably a mistake,
// or deprecated.
package warnings
