// Package defs has the Go definitions that openapi-gen writes and gen
// renders; hack/generate-openapi.sh makes and removes them.
//
// The API of this package is not stable: see docs/api.md.
package defs
