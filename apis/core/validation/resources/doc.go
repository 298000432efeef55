// Package resources validates names and amounts of resources.
//
// The API of this package is not stable: see docs/api.md.
package resources
