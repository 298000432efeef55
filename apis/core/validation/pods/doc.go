// Package pods validates pods and templates of pods.
//
// The API of this package is not stable: see docs/api.md.
package pods
