// Package container validates the containers of a pod, and what of the pod depends on them.
//
// The API of this package is not stable: see docs/api.md.
package container
